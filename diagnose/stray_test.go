package diagnose_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/diagnose"
	"github.com/nestlab/nestlab/model"
)

// onUplink changes what the uplink saw while the LXD container of a recorded run
// was probed as found, and as it was after the change was reverted.
func onUplink(run *model.Run, change func(uplink *model.Hop, bridge model.Flow)) {
	for i := range run.Watches {
		w := &run.Watches[i]
		if w.Environment != model.EnvLXDContainer || w.Round == with {
			continue
		}
		bridge, _ := w.Hop("lxdbr0")
		for n := range w.Hops {
			if w.Hops[n].Role == model.RoleUplink {
				change(&w.Hops[n], bridge.Place)
			}
		}
	}
}

// TestAStrayOpeningOnTheUplink: with the runner's address somebody else may have
// opened a connection to a target in that time. Only where as many left as came to
// the bridge, or packets with the place's own address, did they get past the runner.
func TestAStrayOpeningOnTheUplink(t *testing.T) {
	t.Parallel()
	stray := func(u *model.Hop, _ model.Flow) { u.Runner.SYN, u.Runner.SYNACK = u.Runner.SYN+1, u.Runner.SYNACK+1 }
	all := func(u *model.Hop, bridge model.Flow) { u.Runner.SYN = bridge.SYN }
	own := func(u *model.Hop, _ model.Flow) { u.Place.Out++ }
	for _, file := range []string{"docker-forward-drop.jsonl", "docker-forward-drop@28.jsonl", "ip-forward-off.jsonl"} {
		whole := diagnose.Diagnose(recorded(t, file))
		run := recorded(t, file)
		onUplink(&run, stray)
		d := diagnose.Diagnose(run)
		require.Equal(t, whole.Cause, d.Cause, "%s: %s", file, d.Summary)
		require.Equal(t, whole.Confidence, d.Confidence)
		require.NotContains(t, d.Summary, "left on its uplink")
		requireResolved(t, run, d)
		for name, change := range map[string]func(*model.Hop, model.Flow){"as many as came": all, "its own": own} {
			run := recorded(t, file)
			onUplink(&run, change)
			d := diagnose.Diagnose(run)
			for _, f := range append([]model.Finding{d.Finding}, d.Further...) { // another place may have it
				require.False(t, f.Cause == whole.Cause && slices.Contains(f.Environments, model.EnvLXDContainer), "%s: %s", file, name)
			}
		}
	}
}

// TestAnOpeningOnTheUplinkWhereNothingFell: then there is nothing to outweigh it.
func TestAnOpeningOnTheUplinkWhereNothingFell(t *testing.T) {
	t.Parallel()
	run := recorded(t, "docker-forward-drop.jsonl")
	onUplink(&run, func(u *model.Hop, _ model.Flow) { u.Runner.SYN++ })
	for i := range run.Watches {
		run.Watches[i].Before = nil
	}
	require.Equal(t, model.Undetermined, diagnose.Diagnose(run).Verdict)
}

// TestAStrayAnswerOnTheUplink: what was answered there may be somebody else's, where as
// many openings as came to the bridge were not.
func TestAStrayAnswerOnTheUplink(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"upstream-blocks-guests.jsonl", "upstream-blocks-guests@proxy.jsonl"} {
		whole := diagnose.Diagnose(recorded(t, file))
		require.Equal(t, diagnose.CauseUpstreamBlocks, whole.Cause)
		run := recorded(t, file)
		onUplink(&run, func(u *model.Hop, _ model.Flow) { u.Runner.SYN, u.Runner.SYNACK = u.Runner.SYN+1, u.Runner.SYNACK+1 })
		d := diagnose.Diagnose(run)
		require.Equal(t, whole.Cause, d.Cause, "%s: %s", file, d.Summary)
		require.Equal(t, whole.Confidence, d.Confidence)
		requireResolved(t, run, d)
		run = recorded(t, file)
		onUplink(&run, func(u *model.Hop, _ model.Flow) { u.Runner.SYNACK = u.Runner.SYN })
		require.NotEqual(t, whole, diagnose.Diagnose(run), "all were answered")
	}
}

// TestAStrayQueryOnTheUplink: the runner asks its own resolver, too. Where the place's
// questions were dropped by a rule about DNS, fewer than came to the bridge are not its own.
func TestAStrayQueryOnTheUplink(t *testing.T) {
	t.Parallel()
	asked := func(change func(uplink *model.Hop, bridge model.Flow)) (found []string) {
		run := recorded(t, "dns-blocked.jsonl")
		for i := range run.Watches {
			w := &run.Watches[i]
			bridge, _ := w.Hop("docker0")
			for n := range w.Hops {
				if w.Environment == model.EnvContainer && w.Hops[n].Role == model.RoleUplink {
					change(&w.Hops[n], bridge.Place)
				}
			}
		}
		d := diagnose.Diagnose(run)
		for _, f := range append([]model.Finding{d.Finding}, d.Further...) {
			found = append(found, fmt.Sprintln(f.Cause, f.Confidence, f.Environments))
		}
		return found
	}
	whole := asked(func(*model.Hop, model.Flow) {})
	d := asked(func(u *model.Hop, _ model.Flow) { u.Runner.DNSQueries++ })
	require.Equal(t, whole, d)
	d = asked(func(u *model.Hop, bridge model.Flow) { u.Runner.DNSQueries = bridge.DNSQueries })
	require.NotEqual(t, whole, d, "as many as came")
}
