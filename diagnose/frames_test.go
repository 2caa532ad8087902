package diagnose_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/diagnose"
	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/model/modeltest"
)

// otherMAC is a run in which answers come for another MAC address than the uplink's.
func otherMAC() model.Run {
	run := seen(model.Sighting{Reply: true, Fate: model.Dropped, Kernel: &model.KernelDrop{Reason: "OTHERHOST", Function: "ip_rcv_core", Interface: "eth0"}})
	for _, p := range modeltest.Bridged() {
		watchOf(&run, p, base).Sightings.Drops[0].Flows[0].Destination = netip.MustParseAddrPort("198.51.100.200:0") // as NAT has it
	}
	return run
}

// Frames for somebody else are no loss: what a guest sends is for the runner where that is its
// gateway, and answers are where they are to an address of the runner.
func TestFramesForOthers(t *testing.T) {
	t.Parallel()
	drop := model.Sighting{Fate: model.Dropped, Kernel: &model.KernelDrop{Reason: "OTHERHOST", Function: "ip_rcv_core", Interface: "lxdbr0"}}
	run := seen(drop)
	require.Equal(t, diagnose.CauseOtherMAC, diagnose.Diagnose(run).Cause)
	diverted := drop
	diverted.Kernel = &model.KernelDrop{Reason: "OTHERHOST", Function: "ip_rcv_core", Interface: "ids1"}
	require.NotEqual(t, diagnose.CauseOtherMAC, diagnose.Diagnose(seen(diverted)).Cause, "not on the guests' way")
	for _, p := range modeltest.Bridged() {
		factsOf(&run, p).Routes[0].Gateway = "10.77.0.254"
	}
	require.NotEqual(t, diagnose.CauseOtherMAC, diagnose.Diagnose(run).Cause)
	drop.Reply = true
	require.NotEqual(t, diagnose.CauseOtherMAC, diagnose.Diagnose(seen(drop)).Cause)
}

// What came, and was dropped, was answered: the resolver is not to blame.
func TestAnswersThatCameAreAnswers(t *testing.T) {
	t.Parallel()
	for _, reason := range []string{"OTHERHOST", "TC_INGRESS", "IP_CSUM"} {
		run := everywhere(namesFail(model.DNSTimeout))
		watchOf(&run, modeltest.Runner, base).Sightings = &model.Sightings{Drops: []model.Sighting{{
			Reply: true, Fate: model.Dropped, Kernel: &model.KernelDrop{Reason: reason, Function: "ip_rcv_core", Interface: "eth0"}, In: "eth0", Packets: 5,
			Flows: []model.PacketFlow{{Protocol: "udp", Source: netip.MustParseAddrPort("198.51.100.53:53"), Destination: netip.MustParseAddrPort("198.51.100.200:0")}},
		}}}
		d := diagnose.Diagnose(run)
		require.NotEqual(t, diagnose.CauseDNSUpstreamDead, d.Cause, "%s: %s", reason, d.Summary)
		require.Contains(t, causes(d.RuledOut), diagnose.CauseDNSUpstreamDead)
	}
	d := diagnose.Diagnose(otherMAC())
	require.Equal(t, diagnose.CauseOtherMAC, d.Cause)
	require.Contains(t, d.Evidence[0].Text, "that of eth0 is 02:00:00:00:00:01")
}

// What looks at all that comes in by a bridge is why nothing does where it dropped some and
// nothing came past it.
func TestIngressThatDrops(t *testing.T) {
	t.Parallel()
	deaf := func(in uint64, kind string) model.Run {
		run := seen(model.Sighting{})
		for _, p := range modeltest.Bridged() {
			w := watchOf(&run, p, base)
			w.Sightings = &model.Sightings{Surroundings: model.Surroundings{Queues: []model.Queue{{Interface: "lxdbr0", Kind: kind, Handle: "ffff:0", Dropped: 5}}}}
			w.Hops = hop(in, 0, 0, 0)
		}
		return run
	}
	d := diagnose.Diagnose(deaf(0, "clsact"))
	require.Equal(t, diagnose.CauseTrafficControl, d.Cause, d.Summary)
	require.True(t, strings.HasPrefix(d.Evidence[0].Text, "the queueing discipline clsact of lxdbr0 dropped 5 packets"), d.Evidence[0].Text)
	require.NotEqual(t, diagnose.CauseTrafficControl, diagnose.Diagnose(deaf(9, "clsact")).Cause)
	require.NotEqual(t, diagnose.CauseTrafficControl, diagnose.Diagnose(deaf(0, "fq_codel")).Cause)
}

// A filter of the way out is why only where the place's packets met it: answers came in, or
// nothing got out.
func TestFiltersOfTheWayOut(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		egress    bool
		out, back uint64
		traffic   bool
	}{
		"answers came in": {false, 9, 9, true}, "none did": {false, 9, 0, false},
		"nothing left": {true, 0, 0, true}, "something did": {true, 9, 0, false},
	} {
		run := cutOff(toSite)
		for i := range run.Watches {
			run.Watches[i].Hops = hop(9, test.out, test.back, 0)
			run.Watches[i].Sightings.Filters = []model.TrafficFilter{{Interface: "eth0", Egress: test.egress, Kind: "u32", Packets: 99}}
		}
		require.Equal(t, test.traffic, diagnose.Diagnose(run).Cause == diagnose.CauseTrafficControl, name)
	}
}

// What a filter hands to a shaper comes back, as long as that is up.
func TestFiltersThatShape(t *testing.T) {
	t.Parallel()
	for up, cause := range map[bool]string{false: diagnose.CauseTrafficControl, true: ""} {
		run := cutOff(toSite)
		f := factsOf(&run, modeltest.Runner)
		f.Interfaces = append(slices.Clone(f.Interfaces), model.Interface{Name: "ifb9", Type: "ifb", Up: up})
		for i := range run.Watches {
			run.Watches[i].Sightings.Filters = []model.TrafficFilter{{Interface: "eth0", Kind: "u32", To: "ifb9", Packets: 99}}
		}
		d := diagnose.Diagnose(run)
		if cause == "" {
			require.NotEqual(t, diagnose.CauseTrafficControl, d.Cause, d.Summary)
			continue
		}
		require.Equal(t, cause, d.Cause, d.Summary)
	}
}

// Answers that are not tracked are not translated back: the rule is in the words of that.
func TestAnswersThatAreNotTracked(t *testing.T) {
	t.Parallel()
	d := diagnose.Diagnose(seen(model.Sighting{Reply: true, Fate: model.Untracked, Rule: &notrack}))
	require.Equal(t, diagnose.CauseAltered, d.Cause, d.Summary)
	require.Contains(t, d.Evidence[0].Text, "packets of the answers were taken out of connection tracking, and so not translated back, by the rule")
	require.Equal(t, "accept-before", d.Remedy.Name)
}

// private is a run in which guests reach a site by IPv4, and by IPv6 their packets leave with
// addresses of their own.
func private() model.Run {
	run := full()
	six := netip.MustParseAddrPort("[2001:db8::10]:80")
	each(&run, func(r model.Result) bool { return r.Probe == model.ProbeTCP }, func(r *model.Result) {
		r.Detail.Dials = []model.Dial{{Address: "198.51.100.10:80"}, {Address: six.String()}}
		if slices.Contains(modeltest.Bridged(), r.Place) {
			r.Outcome, r.Reason, r.Detail.Dials[1].Reason = model.Fail, model.ConnectTimeout, model.ConnectTimeout
		}
	})
	for _, p := range modeltest.Bridged() {
		watchOf(&run, p, base).Sightings = &model.Sightings{Surroundings: model.Surroundings{
			Untranslated: []model.UntranslatedFlow{{Interface: "eth0", Source: netip.MustParseAddr("fd42:77::9"), Destination: six, Packets: 4}},
		}}
	}
	return run
}

// IPv6 with private addresses is answered by nobody where no rule translates them. That is no
// cause where the runner gets no answer either, nor of what went elsewhere.
func TestUntranslatedIPv6(t *testing.T) {
	t.Parallel()
	run := private()
	d := diagnose.Diagnose(run)
	require.Equal(t, diagnose.CauseNATOff, d.Cause, d.Summary)
	require.Contains(t, d.Evidence[0].Text, "IPv6 packets to 2001:db8::10 left on eth0 with the private address fd42:77::9")
	require.Contains(t, d.Evidence[0].Text, "`ip6tables -t nat -A POSTROUTING -s fd42:77::/64 -o eth0 -j MASQUERADE`")
	for _, f := range d.Further {
		require.Equal(t, diagnose.CauseNATOff, f.Cause, d.Summary)
	}
	requireResolved(t, run, d)
	for name, change := range map[string]func(*model.Run){
		"the runner fails too": func(r *model.Run) {
			each(r, func(x model.Result) bool { return x.Place == modeltest.Runner && x.Probe == model.ProbeTCP }, func(x *model.Result) {
				x.Detail.Dials = slices.Clone(x.Detail.Dials)
				x.Detail.Dials[1].Reason = model.ConnectTimeout
			})
		},
		"elsewhere": func(r *model.Run) {
			for _, p := range modeltest.Bridged() {
				watchOf(r, p, base).Sightings.Untranslated[0].Destination = netip.MustParseAddrPort("[2001:db8::99]:80")
			}
		},
	} {
		run := private()
		change(&run)
		require.NotEqual(t, diagnose.CauseNATOff, diagnose.Diagnose(run).Cause, name)
	}
}

// A bridge that sends frames for the runner to a port is why nothing comes, where nothing does.
func TestDivertedFrames(t *testing.T) {
	t.Parallel()
	deaf := func(in uint64, bridge string) model.Run {
		run := seen(model.Sighting{})
		for _, p := range modeltest.Bridged() {
			w := watchOf(&run, p, base)
			w.Sightings, w.Hops = &model.Sightings{Interfaces: []model.InterfaceSettings{{Interface: bridge, Forwarding4: true, Diverted: "tap7"}}}, hop(in, 0, 0, 0)
		}
		return run
	}
	d := diagnose.Diagnose(deaf(0, "lxdbr0"))
	require.Equal(t, diagnose.CauseMisrouted, d.Cause, d.Summary)
	require.Contains(t, d.Evidence[0].Text, "the forwarding table of lxdbr0 sends frames for its own MAC address")
	require.NotEqual(t, diagnose.CauseMisrouted, diagnose.Diagnose(deaf(9, "lxdbr0")).Cause)
	require.NotEqual(t, diagnose.CauseMisrouted, diagnose.Diagnose(deaf(0, "docker0")).Cause)
}
