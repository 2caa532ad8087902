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

// cutOff is a run in which the runner and its guests lose their connections to the site, and
// the runner and its containers their names too, routed like that.
func cutOff(d model.Decision) model.Run {
	run := lostOn(append(modeltest.Bridged(), modeltest.Runner), d)
	each(&run, func(r model.Result) bool {
		return !slices.Contains(modeltest.Bridged(), r.Place) && (r.Probe == model.ProbeDNSA || r.Place != modeltest.Runner && slices.Contains([]string{model.ProbeTCP, model.ProbeHTTP, model.ProbeHTTPS}, r.Probe))
	}, namesFail(model.DNSTimeout))
	for i := range run.Watches {
		named := d
		named.Destination = netip.MustParseAddr("198.51.100.53") // the resolver
		run.Watches[i].Sightings.Decisions = append(run.Watches[i].Sightings.Decisions, named)
	}
	return run
}

// conflicting is such a run where another machine has the runner's address.
func conflicting() model.Run {
	run := cutOff(toSite)
	watchOf(&run, modeltest.Runner, base).Sightings.Conflicts = []model.AddressConflict{{Interface: "eth0", Address: netip.MustParseAddr("198.51.100.200"), MAC: "02:00:00:00:00:77"}}
	return run
}

// setInterface changes an interface of the runner.
func setInterface(run *model.Run, name string, change func(*model.Interface)) {
	f := factsOf(run, modeltest.Runner)
	f.Interfaces = slices.Clone(f.Interfaces)
	for i := range f.Interfaces {
		if f.Interfaces[i].Name == name {
			change(&f.Interfaces[i])
		}
	}
}

// onLink is a packet to the site that is handed to it, who does not answer ARP.
var onLink = model.Decision{Destination: netip.MustParseAddr("198.51.100.10"), Kind: "unicast", Out: "eth0", Main: "eth0", Hop: &model.NextHop{Address: netip.MustParseAddr("198.51.100.10"), State: "incomplete"}}

// onBridge is one that is looked for on Docker's bridge.
var onBridge = model.Decision{Destination: onLink.Destination, Kind: "unicast", Out: "docker0", Main: "docker0", Hop: onLink.Hop}

// localCauses are what cuts the runner off from within it: a run, what heals it, the cause
// and what is said.
var localCauses = map[string]struct {
	run         func() model.Run
	heals       func(*model.Run)
	cause, says string
}{
	"another machine has its address": {conflicting, func(r *model.Run) {
		watchOf(r, modeltest.Runner, base).Sightings.Conflicts[0].Interface = "eth1" // on another network
	}, diagnose.CauseDuplicateAddress, "another machine, with the MAC address 02:00:00:00:00:77, has the address 198.51.100.200 of eth0 too"},
	"its uplink is a bridge's port": {func() model.Run {
		run := cutOff(onLink)
		setInterface(&run, "eth0", func(i *model.Interface) { i.Master = "lxdbr0" })
		return run
	}, func(r *model.Run) { setInterface(r, "eth0", func(i *model.Interface) { i.Master = "" }) },
		diagnose.CauseMisrouted, "eth0, by which the runner sends to 198.51.100.10, is a port of the bridge lxdbr0"},
	"a neighbour of a port was found": {func() model.Run {
		run := cutOff(onLink)
		setInterface(&run, "eth0", func(i *model.Interface) { i.Master = "lxdbr0" })
		return run
	}, func(r *model.Run) { // then answers come in by the bridge, and are taken
		for i := range r.Watches {
			for j := range r.Watches[i].Sightings.Decisions {
				r.Watches[i].Sightings.Decisions[j].Hop = &model.NextHop{State: "reachable"}
			}
		}
	}, diagnose.CauseMisrouted, "is a port of the bridge lxdbr0"},
	"a VRF takes nothing": {func() model.Run {
		run := cutOff(onLink)
		setInterface(&run, "eth0", func(i *model.Interface) { i.Master = "lxdbr0" })
		return run
	}, func(r *model.Run) { setInterface(r, "lxdbr0", func(i *model.Interface) { i.Type = "vrf" }) }, diagnose.CauseMisrouted, "is a port of the bridge lxdbr0"},
	"a bridge has the outside's network": {func() model.Run {
		run := cutOff(onBridge)
		setInterface(&run, "docker0", func(i *model.Interface) { i.Addresses = append(slices.Clone(i.Addresses), "198.51.100.9/26") })
		return run
	}, func(r *model.Run) {
		eachDecision(r, func(d *model.Decision) { d.Hop = &model.NextHop{State: "reachable"} })
	}, diagnose.CauseSubnetOverlap, "198.51.100.10 is looked for on docker0, whose network (172.17.0.1/16 and 198.51.100.9/26) has that address, and nobody there has it"},
	"a bridge has the site's network": {func() model.Run {
		run := cutOff(onBridge)
		setInterface(&run, "eth0", func(i *model.Interface) { i.Addresses = []string{"203.0.113.200/24"} })
		setInterface(&run, "docker0", func(i *model.Interface) { i.Addresses = []string{"198.51.100.9/24"} })
		return run
	}, func(r *model.Run) { // by an address, who is meant is on the bridge
		each(r, func(x model.Result) bool { return len(x.Detail.Dials) > 0 }, func(x *model.Result) { x.Target = "198.51.100.10:80" })
	}, diagnose.CauseMisrouted, "that guest is gone, or whoever has it is outside"},
	"its own network's bridge": {func() model.Run {
		run := cutOff(onBridge)
		setInterface(&run, "docker0", func(i *model.Interface) { i.Addresses = append(slices.Clone(i.Addresses), "198.51.100.9/26") })
		return run
	}, func(r *model.Run) { // who is gone there is gone outside
		f := factsOf(r, modeltest.Runner)
		f.Routes = slices.Clone(f.Routes)
		f.Routes[0].Device = "docker0"
	}, diagnose.CauseSubnetOverlap, "198.51.100.10 is looked for on docker0"},
	"an address that was left here": {func() model.Run {
		d := toSite
		d.Kind, d.Out, d.Hop = "local", "lo", nil
		run := cutOff(d)
		onRunner(&run, "dummy0", "198.51.100.10/32")
		return run
	}, func(r *model.Run) { eachDecision(r, func(d *model.Decision) { d.Kind = "unicast" }) },
		diagnose.CauseMisrouted, "198.51.100.10 is an address of the runner itself, on dummy0"},
}

// What cuts the runner off from within it comes before what is said of the outside, and that
// is said where it is not.
func TestCutOffFromWithin(t *testing.T) {
	t.Parallel()
	for name, test := range localCauses {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run := test.run()
			d := diagnose.Diagnose(run)
			require.Equal(t, test.cause, d.Cause, d.Summary)
			require.Contains(t, d.Evidence[0].Text, test.says)
			require.Contains(t, d.Environments, "runner")
			outward := []string{diagnose.CauseDNSUpstreamDead, diagnose.CauseRunnerOffline}
			for _, f := range d.Further {
				require.NotContains(t, outward, f.Cause, d.Summary)
			}
			requireResolved(t, run, d)
			test.heals(&run)
			d = diagnose.Diagnose(run)
			require.NotEqual(t, test.cause, d.Cause, d.Summary)
		})
	}
}

// A route by the other way is the test of a network that two have.
func TestTheOtherWayOfANetwork(t *testing.T) {
	t.Parallel()
	d := diagnose.Diagnose(localCauses["a bridge has the outside's network"].run())
	require.Equal(t, map[string]string{"bridge": "eth0", "address": "198.51.100.10"}, d.Remedy.Parameters)
	require.Equal(t, []string{"ip route add 198.51.100.10 dev eth0"}, d.Remedy.Commands)
}

// A conflict is none of those whom answers reach.
func TestAConflictThatHurtsNobody(t *testing.T) {
	t.Parallel()
	run := conflicting()
	passDials(&run)
	require.NotEqual(t, diagnose.CauseDuplicateAddress, diagnose.Diagnose(run).Cause)
}

// otherMAC is a run in which answers come for another MAC address than the uplink's.
func otherMAC() model.Run {
	return seen(model.Sighting{Reply: true, Fate: model.Dropped, Kernel: &model.KernelDrop{Reason: "OTHERHOST", Function: "ip_rcv_core", Interface: "eth0"}})
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
