package main

import (
	"context"

	"github.com/nestlab/nestlab/pipelines"
	"github.com/nestlab/nestlab/spec"
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
	// Faults to inject, as docs/accuracy.md lists them (repeatable): the diagnosis is not told.
	// +optional
	faults []string,
	// Give the runner, its bridges and its internet IPv6 that works; hosted runners have none.
	// +optional
	ipv6 bool,
	// Form of the runner: namespaced (on the engine's kernel), or emulated, a machine of its own with LXD's virtual machines, which takes many times longer.
	// +default="namespaced"
	runner string,
	// Leave everything as it is: a cause is then supported by evidence, not proven by changing it.
	// +optional
	noIntervene bool,
	// Number of retries after a transient failure; every attempt is kept.
	// +default=0
	retries int,
	// How many times longer than usual everything may take, on a slow or busy machine: 1 to 10.
	// +default=1
	timeoutScale int,
) (*Run, error) {
	s := spec.Simulation{
		Order: spec.Order(order), DockerFrom: spec.DockerSuite(dockerFrom), Environments: environments, Scenarios: scenarios, Faults: faults, IPv6: ipv6,
		Runner: spec.RunnerKind(runner), Intervene: !noIntervene, Retries: retries, TimeoutScale: timeoutScale,
	}
	if err := s.Validate(); err != nil {
		return nil, err
	}
	dir, err := pipelines.Options{Images: m.images()}.Simulate(s)
	if err != nil {
		return nil, err
	}
	return newRun(ctx, dir)
}
