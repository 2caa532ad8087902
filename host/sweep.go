package host

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/nestlab/nestlab/scenario/realize"
	"github.com/nestlab/nestlab/vm"
)

// ScenarioJournal is where a run writes proxies down, beside what `nestlab remedy` does.
const ScenarioJournal = "/var/lib/nestlab/scenarios.json"

// lxdWithin is how long an LXD may take to answer at all.
const lxdWithin = 10 * time.Second

// sweepWithin bounds the removal of what was left: LXD may have to finish first
// what a killed run had ordered.
const sweepWithin = 5 * time.Minute

// sweepGuests removes what killed runs left of QEMU's guests on this machine, or with
// dry only lists it.
func sweepGuests(ctx context.Context, dry bool) ([]string, error) {
	var found []vm.Leftover
	var err error
	if dry {
		found, err = vm.GuestLeftovers(os.TempDir())
	} else {
		found, err = vm.SweepGuests(ctx, os.TempDir())
	}
	var names []string
	for _, f := range found {
		names = append(names, f.String())
	}
	if err != nil {
		err = fmt.Errorf("remove what is left of QEMU's guests: %w", err)
	}
	return names, err
}

// Sweep is of this machine's QEMU and, unless it has none, of an LXD and what the
// journal of proxies names.
func Sweep(ctx context.Context, r vm.Remote, journal string, lxd, every, dry bool) ([]string, error) {
	found, err := sweepGuests(ctx, dry)
	if !lxd {
		return found, err
	}
	more, failed := sweepLXD(ctx, r, journal, every, dry)
	if failed != nil {
		failed = fmt.Errorf("%w; with --no-lxd only what QEMU's guests left is looked for", failed)
	}
	return append(found, more...), errors.Join(err, failed)
}

// sweepLXD removes what nestlab has made on an LXD, and on its machine what the journal
// names where that is this one, or with dry only lists it.
func sweepLXD(ctx context.Context, r vm.Remote, journal string, every, dry bool) (names []string, err error) {
	if r.Elsewhere() == "" {
		// Whatever LXD says: the proxies live without it.
		names, err = realize.SweepProxies(ctx, journal, every, dry)
	}
	more, failed := sweepServer(ctx, r, every, dry)
	return append(names, more...), errors.Join(err, failed)
}

func sweepServer(ctx context.Context, r vm.Remote, every, dry bool) ([]string, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, sweepWithin, fmt.Errorf("it took longer than %s", sweepWithin))
	defer cancel()
	server, err := r.Connect(ctx, lxdWithin)
	if err != nil {
		return nil, err
	}
	sweep := vm.Sweep
	if dry {
		sweep = vm.Leftovers
	}
	found, err := sweep(ctx, server, every)
	var names []string
	for _, f := range found {
		names = append(names, f.String())
	}
	return names, err
}
