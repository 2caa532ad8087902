package diagnose_test

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/diagnose"
	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/model/modeltest"
)

var secure = netip.MustParseAddrPort("198.51.100.10:443")

// beyond is a run in which places connect to one site's port in vain, and others are answered.
func beyond(places []model.Place, why model.Reason, refusals ...model.Refusal) model.Run {
	run := full()
	each(&run, func(r model.Result) bool { return r.Probe == model.ProbeTCP }, func(r *model.Result) {
		r.Detail.Dials = []model.Dial{{Address: secure.String()}}
	})
	for _, p := range everybody() {
		hops := hop(4, 4, 4, 0)
		s := &model.Sightings{Traced: true, Watched: true, Decisions: []model.Decision{{Source: netip.MustParseAddr("10.77.0.5"), Destination: secure.Addr(), Port: secure.Port(), Kind: "unicast", Out: "eth0"}}}
		for _, at := range places {
			if at == p {
				hops = hop(8, 8, 4, 0)
				s.Refusals = refusals
			}
		}
		w := watchIn(&run, p)
		w.Hops, w.Sightings = hops, s
	}
	for _, p := range places {
		each(&run, func(r model.Result) bool { return r.Place == p && r.Probe == model.ProbeTCP }, func(r *model.Result) {
			fails(why)(r)
			r.Detail.Dials = []model.Dial{{Address: secure.String(), Reason: why}}
		})
	}
	return run
}

// everybody are all places of the run.
func everybody() []model.Place {
	var all []model.Place
	for _, i := range full().Plan.Items {
		all = append(all, i.Place)
	}
	return all
}

// watchIn is the watch of a place in the baseline, made where there is none.
func watchIn(run *model.Run, p model.Place) *model.Watch {
	for i := range run.Watches {
		if run.Watches[i].Place == p {
			return &run.Watches[i]
		}
	}
	run.Watches = append(run.Watches, model.Watch{Place: p, Round: base})
	return &run.Watches[len(run.Watches)-1]
}

var (
	resets    = model.Refusal{Protocol: "tcp", By: secure.Addr(), To: secure, In: "eth0", Packets: 4}
	prohibits = model.Refusal{Protocol: "icmp", Type: 3, Code: 13, By: netip.MustParseAddr("203.0.113.1"), To: secure, In: "eth0", Packets: 4}
)

// refusedByAll and unansweredByAll are fixtures.
func refusedByAll() model.Run    { return beyond(everybody(), model.Refused, resets) }
func unansweredByAll() model.Run { return beyond(everybody(), model.ConnectTimeout) }

func TestWhatIsBehindTheRunnerRefuses(t *testing.T) {
	t.Parallel()
	d := diagnose.Diagnose(refusedByAll())
	require.Equal(t, diagnose.CauseRefusedUpstream, d.Cause, d.Summary)
	require.Contains(t, d.Summary, "198.51.100.10 answers connections to 198.51.100.10:443: TCP resets came in by eth0, so that it is not this host that refuses")
	d = diagnose.Diagnose(beyond(everybody(), model.Unreachable, prohibits))
	require.Equal(t, diagnose.CauseRefusedUpstream, d.Cause, d.Summary)
	require.Contains(t, d.Summary, "203.0.113.1 answers connections to 198.51.100.10:443: ICMP: communication administratively prohibited came in by eth0")

	guests := diagnose.Diagnose(beyond(modeltest.Bridged(), model.Refused, resets))
	require.Equal(t, diagnose.CauseUpstreamBlocks, guests.Cause, guests.Summary)
	require.Equal(t, "The network behind the runner refuses guests' connections", guests.Title)

	// The runner connects to the same target by another address.
	elsewhere := beyond(modeltest.Bridged(), model.Refused, resets)
	each(&elsewhere, func(r model.Result) bool { return r.Place == modeltest.Runner && r.Probe == model.ProbeTCP }, func(r *model.Result) { r.Detail.Dials[0].Address = "198.51.100.11:443" })
	require.NotEqual(t, diagnose.CauseUpstreamBlocks, diagnose.Diagnose(elsewhere).Cause, "the runner did not try it")

	own, bridge, other := resets, resets, resets
	own.In, bridge.In, other.To = "", "lxdbr0", netip.MustParseAddrPort("198.51.100.10:80")
	for name, r := range map[string]model.Refusal{"the runner's own": own, "came in by the bridge": bridge, "to another port": other} {
		for _, places := range [][]model.Place{everybody(), modeltest.Bridged()} {
			d := diagnose.Diagnose(beyond(places, model.Refused, r))
			require.NotContains(t, []string{diagnose.CauseRefusedUpstream, diagnose.CauseUpstreamBlocks}, d.Cause, name)
		}
	}
}

func TestWhatIsBehindTheRunnerDrops(t *testing.T) {
	t.Parallel()
	d := diagnose.Diagnose(unansweredByAll())
	require.Equal(t, diagnose.CauseUnansweredUpstream, d.Cause, d.Summary)
	require.Contains(t, d.Summary, "onnections to 198.51.100.10:443 leave on the uplink eth0, and nothing comes back")

	for name, change := range map[string]func(*model.Watch){
		"drops were not followed":   func(w *model.Watch) { w.Sightings.Watched = false },
		"not all SYNs left":         func(w *model.Watch) { w.Hops[0].Runner.SYN = w.Hops[0].Runner.SYNACK },
		"rules were not followed":   func(w *model.Watch) { w.Sightings.Traced = false },
		"not translated":            func(w *model.Watch) { w.Hops[0].Place.Out = 4 },
		"every opening is answered": func(w *model.Watch) { w.Hops[0].Runner.SYNACK = w.Hops[0].Runner.SYN },
		"by another interface":      func(w *model.Watch) { w.Sightings.Decisions[0].Out = "tun0" },
		"nowhere":                   func(w *model.Watch) { w.Sightings.Decisions[0].Kind = "blackhole" },
		"its neighbour is gone":     func(w *model.Watch) { w.Sightings.Decisions[0].Hop = &model.NextHop{State: "failed"} },
		"refused":                   func(w *model.Watch) { w.Sightings.Refusals = []model.Refusal{resets} },
	} {
		run := unansweredByAll()
		for _, p := range everybody() {
			change(watchIn(&run, p))
		}
		require.NotEqual(t, diagnose.CauseUnansweredUpstream, diagnose.Diagnose(run).Cause, name)
	}
	run := unansweredByAll()
	factsOf(&run, modeltest.Runner).Resolvers = []string{"2001:db8::53"}
	require.NotEqual(t, diagnose.CauseUnansweredUpstream, diagnose.Diagnose(run).Cause, "IPv6 alone is answered")
	require.NotEqual(t, diagnose.CauseUnansweredUpstream, diagnose.Diagnose(beyond(modeltest.Bridged(), model.ConnectTimeout)).Cause, "the runner is answered")
}
