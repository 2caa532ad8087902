package accuracy

import (
	"slices"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/simulate"
	"github.com/nestlab/nestlab/world/faults"
)

// virtual is LXD's virtual machine, which the emulated runner alone can have.
var virtual = variant{model.EnvLXDVM, []string{model.EnvRunner, model.EnvLXDVM}, nil}

// EmulatedCases are those in the emulated runner, where each takes many minutes: a
// healthy one, what guests of LXD's bridge alone notice, in LXD's virtual machine,
// and what no rule knows.
func EmulatedCases() []Case {
	cases := []Case{healthy(simulate.LXDFirst, "").in(virtual), newCase(simulate.DockerFirst).in(virtual)}
	for _, f := range faults.All() {
		if !slices.Contains(f.Affects, model.EnvLXDVM) || slices.Contains(f.Affects, model.EnvRunner) || !slices.Contains(f.Affects, model.EnvLXDContainer) {
			continue
		}
		cases = append(cases, broken(f).in(virtual))
	}
	return cases
}

// CasesOf are those of a form of the simulated runner, one of simulate.Runners.
func CasesOf(runner string) ([]Case, error) {
	if runner == simulate.Emulated {
		return EmulatedCases(), nil
	}
	return Cases(), simulate.KnownRunner(runner)
}
