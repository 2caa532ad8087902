package main

import (
	"context"

	"github.com/nestlab/nestlab/internal/dagger"
	"github.com/nestlab/nestlab/pipelines"
	"github.com/nestlab/nestlab/spec"
)

// Doctor finds out why guests of a machine have no network, by its Docker's socket.
// The binary runs there, in a privileged container with the machine's own namespaces, and
// puts a stand-in for a guest on each bridge. It leaves nothing but what fix applies.
//
// +cache="never"
func (m *Nestlab) Doctor(
	ctx context.Context,
	// Socket of the Docker daemon, such as /var/run/docker.sock.
	docker *dagger.Socket,
	// Bridges to look at (repeatable; default all).
	// +optional
	bridge []string,
	// Apply the fixes, look again, and revert what did not help. `nestlab remedy revert` of host-step reverts them there.
	// +optional
	fix bool,
	// Change nothing for a moment: a cause is named, and not proven.
	// +optional
	noIntervene bool,
	// How many containers of each bridge are looked into; nothing is changed in them.
	// +default=1
	guests int,
	// Target set to probe instead of the built-in one.
	// +optional
	targets *dagger.File,
) (*Run, error) {
	machine := pipelines.Machine{Options: pipelines.Options{Images: m.images(), Targets: targets}, Docker: docker}
	dir, err := machine.Doctor(ctx, spec.Doctor{Bridges: bridge, Guests: guests, Intervene: !noIntervene, Fix: fix})
	if err != nil {
		return nil, err
	}
	return newRun(ctx, dir)
}
