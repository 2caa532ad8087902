package main

import (
	"context"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/host/doctor"
	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/testbed/nettest"
)

// A fix is said in words that fit what is left.
func TestHealed(t *testing.T) {
	t.Parallel()
	of := func(failing ...string) (run model.Run) {
		for _, probe := range []string{model.ProbeTCP, model.ProbeDNSA, model.ProbeHTTP} {
			r := model.Result{Place: model.Place{Environment: model.EnvBridge, Name: "br0"}, Round: model.RoundBaseline, Probe: probe, Attempt: 1, Outcome: model.Pass}
			if slices.Contains(failing, probe) {
				r.Outcome, r.Reason = model.Fail, model.ConnectTimeout
			}
			run.Results = append(run.Results, r)
		}
		return run
	}
	before := of(model.ProbeTCP, model.ProbeDNSA)
	f := model.Finding{Cause: "nat-off", Environments: []string{"bridge br0"}, Remedy: &model.Remedy{Name: "nat-on"}}
	for _, r := range before.Results[:2] {
		f.Evidence = append(f.Evidence, model.Evidence{Refs: []string{r.Ref()}})
	}
	fix := doctor.Fixes(f, before)
	require.Equal(t, "fixed: nat-off in bridge br0", healed(fix, of()))
	require.Equal(t, "healed in part: nat-off in bridge br0 (1 of 2 probes that failed by it pass; 1 fail there)", healed(fix, of(model.ProbeTCP)))
	require.Equal(t, "healed: nat-off in bridge br0 (2 of 2 probes that failed by it pass; 1 fail there by something else)", healed(fix, of(model.ProbeHTTP)))
}

// scripted finds what it is told to, keeps the fixes that are named, and has others wait.
type scripted struct {
	runs  []model.Run
	fixes [][]doctor.Fixed
	keeps []string
	looks int
}

func (s *scripted) Fix(context.Context, model.Run) (fixed []doctor.Fixed, _ error) {
	if len(s.fixes) > 0 {
		fixed, s.fixes = s.fixes[0], s.fixes[1:]
	}
	return fixed, nil
}

func (s *scripted) Unfix(_ context.Context, fixed []doctor.Fixed, _, _ model.Run, last bool) (kept, waiting []doctor.Fixed, err error) {
	for _, f := range fixed {
		switch {
		case slices.Contains(s.keeps, f.Cause):
			kept = append(kept, f)
		case last:
			err = doctor.ErrNoHelp
		default:
			waiting = append(waiting, f)
		}
	}
	return kept, waiting, err
}

func (s *scripted) examine(*cobra.Command) (model.Run, error) {
	s.looks++
	return s.runs[min(s.looks, len(s.runs))-1], nil
}

// What stays is told by a look at the host without what was reverted.
func TestWhatStaysIsSeenAlone(t *testing.T) {
	t.Parallel()
	front, rear := doctor.Fixed{Cause: "front"}, doctor.Fixed{Cause: "rear"}
	of := func(command string) model.Run {
		return model.Run{Plan: model.Plan{Command: command}, Diagnosis: model.Diagnosis{Verdict: model.CauseFound}}
	}
	runs := []model.Run{of("first"), of("second"), of("third")}
	for name, test := range map[string]struct {
		fixes [][]doctor.Fixed
		keeps []string
		looks int
	}{
		"one was reverted that had waited": {[][]doctor.Fixed{{front}, {rear}}, []string{"rear"}, 3},
		"all stay":                         {[][]doctor.Fixed{{front}, {rear}}, []string{"front", "rear"}, 2},
		"none stays":                       {[][]doctor.Fixed{{front}, {rear}}, nil, 2},
	} {
		s := scripted{runs: runs, fixes: test.fixes, keeps: test.keeps}
		d := doctorFlags{Doctor: doctor.Doctor{Lines: io.Discard}}
		cmd := &cobra.Command{}
		cmd.SetErr(io.Discard)
		cmd.SetContext(t.Context())
		now, kept, err := d.apply(cmd, &s, of("before"))
		require.NoError(t, err, name)
		require.Len(t, kept, len(test.keeps), name)
		require.Equal(t, test.looks, s.looks, name)
		require.Equal(t, runs[test.looks-1].Plan.Command, now.Plan.Command, name)
	}
}

// A fix is said to have fixed a place at which nothing fails then, and of another what it
// healed and that something fails there still.
func TestFixedIsWhatNothingFailsAt(t *testing.T) {
	t.Parallel()
	if !nettest.Isolated(t) {
		return
	}
	h := newTestHost(t)
	h.nft("table inet admin { chain in { type filter hook input priority 0; iifname virbr0 meta l4proto { tcp, udp } th dport 53 drop; }; }")
	// Nobody gives this back: a filter that no change of nestlab's takes away.
	for _, words := range []string{
		"ip link add ifb9 type ifb", "tc qdisc add dev docker0 ingress",
		"tc filter add dev docker0 parent ffff: protocol ip u32 match u32 0 0 action mirred egress redirect dev ifb9",
	} {
		w := strings.Fields(words)
		h.run(w[0], w[1:]...)
	}
	out, err := h.doctor("--fix").CombinedOutput()
	require.Error(t, err, "docker0 is as it was")
	require.Contains(t, string(out), "\nfixed: dns-blocked in bridge virbr0, until", string(out))
	require.NotContains(t, string(out), "\nfixed: traffic-control")
	require.NotContains(t, string(out), "healed")
}
