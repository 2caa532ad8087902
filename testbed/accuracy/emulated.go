package accuracy

import (
	"context"
	"slices"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/spec"
	"github.com/nestlab/nestlab/testbed/simulate"
	"github.com/nestlab/nestlab/testbed/world/faults"
)

// virtual is LXD's virtual machine, which the emulated runner alone can have.
var virtual = variant{model.EnvLXDVM, []string{model.EnvRunner, model.EnvLXDVM}, nil}

// EmulatedCases are those in the emulated runner, where each takes many minutes: a
// healthy one, what guests of LXD's bridge alone notice, in LXD's virtual machine,
// and what no rule knows.
func EmulatedCases() []Case {
	cases := []Case{healthy(spec.LXDFirst, "").in(virtual), newCase(spec.DockerFirst).in(virtual)}
	for _, f := range faults.All() {
		if !slices.Contains(f.Affects, model.EnvLXDVM) || slices.Contains(f.Affects, model.EnvRunner) || !slices.Contains(f.Affects, model.EnvLXDContainer) {
			continue
		}
		cases = append(cases, broken(f).in(virtual))
	}
	return cases
}

// CasesOf are those of a form of the simulated runner.
func CasesOf(runner spec.RunnerKind) ([]Case, error) {
	if runner == spec.Emulated {
		return EmulatedCases(), nil
	}
	if err := spec.Check(runner); err != nil {
		return nil, err
	}
	public, err := publicCases()
	return append(Cases(), public...), err
}

// InMachine has the cases carried out in a machine of its own, one after the other.
func InMachine(ctx context.Context, config simulate.Config, a spec.Accuracy) error {
	cases, err := Left(a, config.Out)
	if err != nil || len(cases) == 0 {
		return err
	}
	a.Cases, a.Parallel, a.Resume = nil, 1, false
	for _, c := range cases {
		a.Cases = append(a.Cases, c.Name)
	}
	return simulate.InMachine(ctx, config, a, simulate.MachineMemory, config.Progress)
}
