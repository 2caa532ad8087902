package diagnose_test

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/diagnose"
	"github.com/nestlab/nestlab/model"
)

// Without the kernel's drops, its answer about the route tells what it does not pass on.
func TestTheKernelSaysWhatItDoesNotRoute(t *testing.T) {
	t.Parallel()
	for kind, want := range map[string]struct{ cause, says, remedy string }{
		"not forwarding": {diagnose.CauseIPForwardOff, "An interface of the runner does not forward. The kernel does not forward what comes in by lxdbr0: net.ipv4.conf.lxdbr0.forwarding is 0", "interface-forwarding-on"},
		"reverse path":   {diagnose.CauseRPFilter, "does not expect 10.77.0.10 on lxdbr0", "rp-filter-loose"},
	} {
		d := toSite
		d.Kind, d.In, d.Source = kind, "lxdbr0", netip.MustParseAddr("10.77.0.10")
		lost := func() model.Run {
			run := lostOn(guests, d)
			for i := range run.Watches {
				run.Watches[i].Sightings.Interfaces = []model.InterfaceSettings{{Interface: "lxdbr0", Forwarding4: kind == "reverse path", RPFilter: 1}}
			}
			return run
		}
		run := lost()
		found := diagnose.Diagnose(run)
		require.Equal(t, want.cause, found.Cause, found.Summary)
		require.Contains(t, found.Summary, want.says)
		require.Equal(t, want.remedy, found.Remedy.Name)
		next, ok := diagnose.Next(run, nil)
		require.True(t, ok)
		require.Equal(t, "lxdbr0", next.Intervention.Remedy.Parameters["interface"])

		for why, change := range map[string]func(*model.Watch){
			"drops were seen": func(w *model.Watch) {
				w.Sightings.Drops = []model.Sighting{{Fate: model.Dropped, Kernel: &model.KernelDrop{Reason: "OTHER"}}}
			},
			"no drop was seen":         func(w *model.Watch) { w.Sightings.Watched = true },
			"nothing came":             func(w *model.Watch) { w.Hops = []model.Hop{{Interface: "lxdbr0", Role: model.RoleBridge}} },
			"the setting was not read": func(w *model.Watch) { w.Sightings.Interfaces = nil },
		} {
			other := lost()
			for i := range other.Watches {
				change(&other.Watches[i])
			}
			require.NotEqual(t, want.cause, diagnose.Diagnose(other).Cause, why)
		}
		passDials(&run)
		require.NotEqual(t, want.cause, diagnose.Diagnose(run).Cause, "connected")
	}
}
