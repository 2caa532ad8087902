package main

import (
	"context"

	"github.com/nestlab/nestlab/dind"
	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/pipelines"
	"github.com/nestlab/nestlab/pipelines/plan"
	"github.com/nestlab/nestlab/simulate"
)

// Simulate runs the whole comparison in a simulated runner: real daemons and packets.
// dockerd, LXD and QEMU run in one privileged exec, with an internet of its own. It
// needs no network beyond the images, and changes nothing of the host.
//
// +cache="never"
func (m *Nestlab) Simulate(
	ctx context.Context,
	// Which daemon starts first: docker-first (as on hosted runners) or lxd-first.
	// +default="docker-first"
	order string,
	// Suite of Debian whose Docker the runner has: bookworm (20.10), trixie (26.1) or sid (28 or later); the base image's own if empty.
	// +optional
	dockerFrom string,
	// Environments to run, as names or patterns; !PATTERN leaves out (repeatable; default all).
	// +optional
	environments []string,
	// Scenarios to try in guests, as docs/scenarios.md lists them: names, families or patterns; !PATTERN leaves out (repeatable; default none).
	// +optional
	scenarios []string,
	// Faults to put in, as docs/accuracy.md lists them (repeatable): the diagnosis is not told.
	// +optional
	faults []string,
	// Form of the runner: namespaced (on the engine's kernel), or emulated, a machine of its own with LXD's virtual machines, which takes many times longer.
	// +default="namespaced"
	runner string,
	// Leave everything as it is: a cause is then supported by evidence, not proven by changing it.
	// +optional
	noIntervene bool,
	// How often a transient failure is tried again; every attempt is kept.
	// +default=0
	retries int,
) (*Run, error) {
	config := simulate.Config{Order: order, Faults: faults, DockerFrom: dockerFrom, Scenarios: scenarios, Runner: runner}
	if err := config.Validate(); err != nil {
		return nil, err
	}
	p, err := plan.Asked{
		Command: plan.Simulate, Internet: plan.Simulated, Method: dind.MethodDistro, Only: environments, Scenarios: scenarios,
		Emulated: runner == simulate.Emulated,
	}.With()
	if err != nil {
		return nil, err
	}
	o := pipelines.Options{
		Images: m.images(), Internet: plan.Simulated, Method: dind.MethodDistro, Faults: faults, DockerFrom: dockerFrom,
		Scenarios: scenarios, Retries: retries, Emulated: runner == simulate.Emulated,
	}
	if len(environments) == 0 && len(scenarios) > 0 {
		p = model.Plan{} // the rows of scenarios name what they need
	}
	if err := o.ValidateProbing(ctx); err != nil {
		return nil, err
	}
	return newRun(ctx, o.Simulate(order, plan.Names(p), !noIntervene))
}
