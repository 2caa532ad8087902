package diagnose_test

import (
	"net/netip"
	"slices"
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

// A route by the other way is the test of a network that two have, and what heals it where all
// passed with it: that somebody outside has the address was not seen before.
func TestTheOtherWayOfANetwork(t *testing.T) {
	t.Parallel()
	run := localCauses["a bridge has the outside's network"].run()
	require.Nil(t, diagnose.Diagnose(run).Remedy)
	h, ok := diagnose.Next(run, nil)
	require.True(t, ok)
	require.Equal(t, diagnose.CauseSubnetOverlap, h.Finding.Cause)
	route := h.Intervention.Remedy
	require.Equal(t, map[string]string{"bridge": "eth0", "address": "198.51.100.10"}, route.Parameters)
	require.Equal(t, []string{"ip route add 198.51.100.10 dev eth0"}, route.Commands)
	for _, r := range slices.Clone(run.Results) {
		if slices.Contains(h.Explains, r.Ref()) {
			r.Round = with
			passes(&r)
			run.Results = append(run.Results, r)
			i := slices.IndexFunc(run.Results, func(x model.Result) bool {
				return x.Round == base && x.Place == r.Place && x.Probe == r.Probe && x.Target == r.Target
			})
			again := run.Results[i]
			again.Round = after
			run.Results = append(run.Results, again)
		}
	}
	run.Interventions = []model.Intervention{h.Intervention.Intervention}
	f := diagnose.Judge(h, run)
	require.Equal(t, model.Proven, f.Confidence, f.Proof)
	require.Equal(t, route.Commands, f.Remedy.Commands)
}

// A guest that is gone from a bridge is none of the wider network of the uplink's, unless a name
// says that somebody has its address; an interface that is down has no network.
func TestAGuestThatIsGone(t *testing.T) {
	t.Parallel()
	gone := netip.MustParseAddr("10.77.0.9")
	wide := func(target string) model.Run {
		run := full()
		each(&run, func(r model.Result) bool { return r.Place == modeltest.Runner && r.Probe == model.ProbeHTTP }, func(r *model.Result) {
			fails(model.Unreachable)(r)
			r.Target, r.Detail.Dials = target, []model.Dial{{Address: "10.77.0.9:80", Reason: model.Unreachable}}
		})
		setInterface(&run, "eth0", func(i *model.Interface) { i.Addresses = []string{"10.1.2.3/8"} })
		watchIn(&run, modeltest.Runner).Sightings = &model.Sightings{Traced: true, Watched: true, Decisions: []model.Decision{
			{Destination: gone, Port: 80, Kind: "unicast", Out: "lxdbr0", Main: "lxdbr0", Hop: &model.NextHop{Address: gone, State: "failed"}},
		}}
		return run
	}
	d := diagnose.Diagnose(wide("http://10.77.0.9/"))
	require.NotEqual(t, diagnose.CauseSubnetOverlap, d.Cause, d.Summary)
	require.Nil(t, d.Remedy)
	named := wide("http://intranet.lab.test/")
	d = diagnose.Diagnose(named)
	require.Equal(t, diagnose.CauseSubnetOverlap, d.Cause, d.Summary)
	require.Nil(t, d.Remedy, "nothing is proven")
	setInterface(&named, "eth0", func(i *model.Interface) { i.Up = false })
	require.NotEqual(t, diagnose.CauseSubnetOverlap, diagnose.Diagnose(named).Cause)
}

// A conflict is none of those whom answers reach.
func TestAConflictThatHurtsNobody(t *testing.T) {
	t.Parallel()
	run := conflicting()
	passDials(&run)
	require.NotEqual(t, diagnose.CauseDuplicateAddress, diagnose.Diagnose(run).Cause)
}
