package diagnose_test

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/diagnose"
	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/model/modeltest"
)

// A family that is dead where the other one answers is no lost way of that one.
func TestADeadFamilyIsJudgedByItself(t *testing.T) {
	t.Parallel()
	const six, four = "[2001:db8::10]:80", "198.51.100.10:80"
	dead := func(r *model.Result) {
		switch r.Probe {
		case model.ProbeTCP:
			fails(model.ConnectTimeout)(r)
			r.Detail.Dials = []model.Dial{{Address: six, Reason: model.ConnectTimeout}, {Address: four}}
		case model.ProbeFirst:
			fails(model.ConnectTimeout)(r)
			r.Detail.Dials = []model.Dial{{Address: six, Reason: model.ConnectTimeout}}
		}
	}
	for _, places := range [][]model.Place{{modeltest.LXDContainer}, {modeltest.Runner}} {
		d := diagnose.Diagnose(in(places, dead))
		require.Equal(t, diagnose.CauseV6NoRoute, d.Cause, d.Summary)
		require.Empty(t, d.Further)
		require.NotContains(t, d.Summary, "Not explained")
	}
}

// everyAddress is a run in which the IPv6 address alone of a site that guests try every
// address of leads nowhere, as the runner has no route, and programs get through.
func everyAddress() model.Run {
	run := full()
	six := model.Dial{Address: "[2001:db8::10]:80", Reason: model.Unreachable}
	each(&run, func(r model.Result) bool { return r.Probe == model.ProbeTCP }, func(r *model.Result) {
		r.Detail.Dials = []model.Dial{six, {Address: "198.51.100.10:80"}}
		if r.Place == modeltest.LXDContainer {
			r.Outcome, r.Reason, r.Detail.Dials[0].Reason = model.Fail, model.ConnectTimeout, model.ConnectTimeout
		}
	})
	watchOf(&run, modeltest.LXDContainer, base).Sightings = &model.Sightings{Decisions: []model.Decision{{Destination: netip.MustParseAddr("2001:db8::10"), In: "lxdbr0", Kind: "no route"}}}
	return run
}

// What tries every address has another one: IPv6 is not taken away for that. The runner is not
// said to reach what it reaches by IPv4 alone.
func TestNoRouteForIPv6(t *testing.T) {
	t.Parallel()
	run := everyAddress()
	d := diagnose.Diagnose(run)
	require.Equal(t, diagnose.CauseV6NoRoute, d.Cause, d.Summary)
	require.Nil(t, d.Remedy)
	require.Contains(t, d.Evidence[len(d.Evidence)-1].Text, "the runner has no route to 2001:db8::10 for packets of lxd-container")
	require.Contains(t, d.Summary, "The runner itself reaches them by IPv4 alone.")
	requireResolved(t, run, d)
	each(&run, func(r model.Result) bool { return r.Place == modeltest.Runner && r.Probe == model.ProbeTCP }, func(r *model.Result) { r.Detail.Dials = nil })
	require.Contains(t, diagnose.Diagnose(run).Summary, "The runner itself does not have it.")
	run.Results = append(run.Results, model.Result{
		Place: modeltest.LXDContainer, Round: base, Probe: model.ProbeFirst, Target: "archive.lab.test:80", Attempt: 1, Outcome: model.Fail, Reason: model.Unreachable,
		Detail: model.Detail{Dials: []model.Dial{{Address: "[2001:db8::10]:80", Reason: model.Unreachable}}},
	})
	require.Equal(t, "ipv4-only", diagnose.Diagnose(run).Remedy.Name)
}
