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

// toSite is how packets to what is tried in vain are routed where nothing is wrong.
var toSite = model.Decision{
	Destination: netip.MustParseAddr("198.51.100.10"), Kind: "unicast", Out: "eth0", Main: "eth0", Gateway: netip.MustParseAddr("198.51.100.1"),
	Hop: &model.NextHop{Address: netip.MustParseAddr("198.51.100.1"), State: "reachable"},
}

// lostOn is a run in which connections of places to the site are lost, routed like that.
func lostOn(places []model.Place, d model.Decision) model.Run {
	run := in(places, onTCP(func(r *model.Result) {
		fails(model.ConnectTimeout)(r)
		r.Detail.Dials = []model.Dial{{Address: "198.51.100.10:80", Reason: model.ConnectTimeout}}
	}))
	run.Watches = nil
	for _, p := range places {
		run.Watches = append(run.Watches, model.Watch{Place: p, Round: base, Sightings: &model.Sightings{Decisions: []model.Decision{d}}})
	}
	return run
}

// onRunner adds an address to an interface of the runner.
func onRunner(run *model.Run, name, address string) {
	f := factsOf(run, modeltest.Runner)
	i := slices.IndexFunc(f.Interfaces, func(i model.Interface) bool { return i.Name == name })
	if i < 0 {
		i = len(f.Interfaces)
		f.Interfaces = append(f.Interfaces, model.Interface{Name: name, Type: "device", Up: true})
	}
	f.Interfaces[i].Addresses = append(slices.Clone(f.Interfaces[i].Addresses), address)
}

// guests and runner are where connections are lost.
var guests, runner = modeltest.Bridged(), []model.Place{modeltest.Runner}

// waysThatLeadNowhere are decisions and what is around them, with what heals them.
var waysThatLeadNowhere = map[string]struct {
	places []model.Place
	way    func(*model.Decision)
	run    func(*model.Run)
	heals  func(*model.Run)
	title  string
	says   string
}{
	"the site's address is here": {guests, func(d *model.Decision) { d.Kind, d.Out, d.Hop = "local", "lo", nil }, func(r *model.Run) { onRunner(r, "dummy0", "198.51.100.10/32") },
		func(r *model.Run) { passDials(r) },
		"An address of what is tried is on the runner itself", "198.51.100.10 is an address of the runner itself, on dummy0"},
	"the gateway is gone": {guests, func(d *model.Decision) {
		d.Rule, d.Priority, d.Gateway = "from all iif lxdbr0 lookup 201", 1001, netip.MustParseAddr("198.51.100.254")
		d.Hop = &model.NextHop{Address: d.Gateway, State: "failed"}
	}, nil, func(r *model.Run) { eachDecision(r, func(d *model.Decision) { d.Hop.State = "stale" }) },
		"The gateway that packets are handed to is not there", "to the gateway 198.51.100.254, which nobody there has"},
	"a policy rule takes them in": {guests, func(d *model.Decision) {
		d.Kind, d.Out, d.Hop, d.Rule, d.Priority, d.Table, d.Mark = "local", "lo", nil, "from all fwmark 0x1 lookup 100", 100, 100, 1
		d.MarkedBy = &model.FirewallRule{Family: "ip", Table: "clash", Chain: "pre", Text: "meta mark set 0x1"}
	}, nil, func(r *model.Run) { eachDecision(r, func(d *model.Decision) { d.Rule = "" }) },
		"", "for its own by the policy rule \"from all fwmark 0x1 lookup 100\", as they have the mark 0x1 of the rule \"meta mark set 0x1\" of chain pre in table ip clash"},
	"another source": {runner, func(d *model.Decision) { d.Prefers = netip.MustParseAddr("192.0.2.7") }, func(r *model.Run) {
		onRunner(r, "dummy0", "192.0.2.7/32")
		onRunner(r, "eth0", "198.51.100.200/24")
		f := factsOf(r, modeltest.Runner)
		f.Routes = append(slices.Clone(f.Routes), model.Route{Destination: "198.51.100.0/24", Device: "eth0", Source: "192.0.2.7"})
	}, func(r *model.Run) {
		eachDecision(r, func(d *model.Decision) { d.Prefers = netip.MustParseAddr("198.51.100.200") })
	},
		"The runner's own packets leave with an address that answers do not find", "the route 198.51.100.0/24 dev eth0 src 192.0.2.7 prefers it (that of eth0 is "},
	"the bridge has lost its address": {guests, func(*model.Decision) {}, func(r *model.Run) {
		r.Plan.Bridges = []model.Bridge{{Name: "lxdbr0", Program: "LXD", Lost: netip.MustParsePrefix("10.77.0.1/24")}}
		f := factsOf(r, modeltest.Runner)
		f.Interfaces = slices.Clone(f.Interfaces)
		for i := range f.Interfaces {
			if f.Interfaces[i].Name == "lxdbr0" {
				f.Interfaces[i].Addresses = nil
			}
		}
	}, func(r *model.Run) { onRunner(r, "lxdbr0", "10.77.0.1/24") },
		"The bridge that guests have for their gateway has no IPv4 address", "lxdbr0 has no IPv4 address, and guests there have 10.77.0.1 for their gateway"},
	"a narrower route, and strict rp_filter": {guests, func(d *model.Decision) {
		d.Source, d.In, d.Kind, d.Out, d.Hop = netip.MustParseAddr("10.77.0.10"), "lxdbr0", "reverse path", "", nil
	}, func(r *model.Run) {
		f := factsOf(r, modeltest.Runner)
		f.Routes = append(slices.Clone(f.Routes), model.Route{Destination: "10.77.0.0/28", Device: "docker0"})
	}, func(r *model.Run) { eachDecision(r, func(d *model.Decision) { d.Kind = "unicast" }) },
		"The runner's route to the guests leaves by another interface than theirs", "route to 10.77.0.10 leaves by docker0 (`ip route show 10.77.0.0/28`), and strict rp_filter on lxdbr0"},
	"the guest's gateway is gone": {guests, func(*model.Decision) {}, func(r *model.Run) {
		for _, p := range guests {
			factsOf(r, p).Routes[0].Gateway = "10.77.0.254"
			r.Inspections = append(r.Inspections, model.Inspection{Place: p, Round: base, Neighbours: []model.Neighbour{{Address: "10.77.0.254", Device: "eth0", State: "failed"}}})
			watchOf(r, p, base).Sightings.Listeners = []model.Listener{{Protocol: "udp", Address: netip.MustParseAddrPort("0.0.0.0:67"), Interface: "lxdbr0", Process: "dnsmasq", PID: 9, Options: []string{"dhcp-option-force=3,10.77.0.254"}}}
		}
	}, func(r *model.Run) {
		for i := range r.Inspections {
			r.Inspections[i].Neighbours[0].State = "reachable"
		}
	}, "The default gateway of guests is not there", "dnsmasq (process 9), which serves guests of lxdbr0, has the option dhcp-option-force=3,10.77.0.254"},
}

// Ways that lead nowhere are named by what is wrong with them; the same without that is not.
func TestWaysThatLeadNowhere(t *testing.T) {
	t.Parallel()
	for name, test := range waysThatLeadNowhere {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := toSite
			test.way(&d)
			run := lostOn(test.places, d)
			if test.run != nil {
				test.run(&run)
			}
			found := diagnose.Diagnose(run)
			require.Equal(t, diagnose.CauseMisrouted, found.Cause, found.Summary)
			require.Contains(t, found.Title, test.title)
			require.Contains(t, found.Evidence[0].Text, test.says)
			test.heals(&run)
			require.NotEqual(t, diagnose.CauseMisrouted, diagnose.Diagnose(run).Cause)
		})
	}
}

// What was not looked at is named beside a verdict, and so is a bridge whose ports are deaf
// at first; one whose delay nobody notices is not.
func TestBesideTheVerdict(t *testing.T) {
	t.Parallel()
	run := modeltest.Healthy()
	run.Results = append(run.Results, model.Result{Place: model.Place{Environment: model.EnvBridge, Name: "br9"}, Round: base, Probe: model.ProbeStart, Outcome: model.Skip, Reason: model.NotApplicable})
	run.Plan.Bridges = []model.Bridge{{Name: "virbr0", PortDelay: 30}, {Name: "virbr1", PortDelay: 4}}
	d := diagnose.Diagnose(run)
	require.Equal(t, model.Healthy, d.Verdict)
	require.Equal(t, []string{"br9"}, d.Skipped)
	require.Contains(t, d.Summary, "Not looked at: br9.")
	require.Len(t, d.Notes, 1)
	require.Contains(t, d.Notes[0], "virbr0 speaks STP, with a forward delay of 15 s: a new port takes no packets for 30 s")
}

// A source is right that the interface has too, or that anything was answered at.
func TestSourcesThatAreRight(t *testing.T) {
	t.Parallel()
	test := waysThatLeadNowhere["another source"]
	for name, right := range map[string]func(*model.Run){
		"of both interfaces": func(r *model.Run) {
			onRunner(r, "eth0", "192.0.2.7/32")
			slices.Reverse(factsOf(r, modeltest.Runner).Interfaces) // the other one is found first
		},
		"answered elsewhere": func(r *model.Run) {
			other := r.Watches[0].Sightings.Decisions[0]
			other.Destination = netip.MustParseAddr("198.51.100.12")
			r.Watches[0].Sightings.Decisions = append(r.Watches[0].Sightings.Decisions, other)
			i := slices.IndexFunc(r.Results, func(x model.Result) bool { return x.Place == modeltest.Runner && x.Probe == model.ProbeTCP })
			r.Results[i].Outcome, r.Results[i].Reason, r.Results[i].Detail.Dials = model.Pass, "", []model.Dial{{Address: "198.51.100.12:80"}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := toSite
			test.way(&d)
			run := lostOn(test.places, d)
			test.run(&run)
			require.Equal(t, diagnose.CauseMisrouted, diagnose.Diagnose(run).Cause)
			right(&run)
			require.NotEqual(t, diagnose.CauseMisrouted, diagnose.Diagnose(run).Cause)
		})
	}
}

// eachDecision changes the decisions of a run.
func eachDecision(run *model.Run, change func(*model.Decision)) {
	for i := range run.Watches {
		if s := run.Watches[i].Sightings; s != nil {
			for j := range s.Decisions {
				change(&s.Decisions[j])
			}
		}
	}
}

// passDials has one connection of each place to the site answered.
func passDials(run *model.Run) {
	each(run, func(r model.Result) bool { return len(r.Detail.Dials) > 0 && r.Probe == model.ProbeTCP }, func(r *model.Result) {
		r.Outcome, r.Reason, r.Detail.Dials[0].Reason = model.Pass, "", ""
	})
}

// namesDiffer is a run in which guests' resolver says of names that they do not exist.
func namesDiffer() model.Run {
	run := in(modeltest.Bridged(), namesFail(model.DNSNXDomain))
	each(&run, func(r model.Result) bool { return r.Probe == model.ProbeDNSA }, func(r *model.Result) {
		r.Detail.Values = map[string]string{"resolver": "198.51.100.53:53", "addresses": "198.51.100.10"}
		if r.Outcome == model.Fail {
			r.Detail.Values = map[string]string{"resolver": "10.77.0.1:53", "rcode": "NXDOMAIN"}
		}
	})
	return run
}

// What the guests' resolver withholds is its own doing only if the runner asks another one.
func TestWithheldNames(t *testing.T) {
	t.Parallel()
	run := namesDiffer()
	require.Contains(t, diagnose.Diagnose(run).Evidence[0].Text, "10.77.0.1:53, which places behind lxdbr0 ask, says that archive.lab.test does not exist")
	each(&run, func(r model.Result) bool { return r.Probe == model.ProbeDNSA }, func(r *model.Result) { r.Detail.Values["resolver"] = "198.51.100.53:53" })
	require.Equal(t, model.Undetermined, diagnose.Diagnose(run).Verdict)
}

// A line of /etc/hosts is why only where the resolver says otherwise.
func TestNamesOfHosts(t *testing.T) {
	t.Parallel()
	run := lostOn([]model.Place{modeltest.Runner}, toSite)
	each(&run, func(r model.Result) bool { return len(r.Detail.Dials) > 0 }, func(r *model.Result) { r.Detail.Dials[0].Address = "198.51.100.77:80" })
	for _, given := range []string{"198.51.100.10", "198.51.100.77"} {
		each(&run, func(r model.Result) bool { return r.Probe == model.ProbeDNSA }, func(r *model.Result) {
			r.Detail.Values = map[string]string{"resolver": "198.51.100.53:53", "addresses": given}
		})
		f := factsOf(&run, modeltest.Runner)
		f.Hosts = []model.HostsLine{{Address: "198.51.100.77", Names: []string{"archive.lab.test"}}}
		h := slices.ContainsFunc(diagnose.Hypotheses(run), func(h diagnose.Hypothesis) bool { return h.Finding.Cause == diagnose.CauseNamesDiffer })
		require.Equal(t, given == "198.51.100.10", h, given)
	}
}

// resolverSilent is a run in which the resolver that is asked first is gone.
func resolverSilent() model.Run {
	run := everywhere(onTCP(fails(model.DNSTimeout)))
	each(&run, func(r model.Result) bool { return r.Probe == model.ProbeDNSA }, func(r *model.Result) {
		r.Detail.Values = map[string]string{"resolver": "198.51.100.53:53", "tried": "198.51.100.99:53=dns-timeout 198.51.100.53:53=NOERROR"}
	})
	return run
}

// fewPorts is a run in which connections find no local port.
func fewPorts() model.Run {
	run := in([]model.Place{modeltest.Runner}, onTCP(fails(model.Unreachable)))
	factsOf(&run, modeltest.Runner).LocalPorts = &model.PortRange{First: 61000, Last: 61001}
	return run
}
