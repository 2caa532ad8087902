package diagnose_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/diagnose"
	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/model/modeltest"
)

// leases is who gives out addresses on the bridge.
func leases(options ...string) model.Listener {
	return model.Listener{Protocol: "udp", Address: netip.MustParseAddrPort("0.0.0.0:67"), Interface: "lxdbr0", Process: "dnsmasq", PID: 58, Options: options}
}

// pool is a range of the guests' network of ten addresses.
func pool(first string, leased, reserved int) model.DHCPPool {
	a := netip.MustParseAddr(first)
	last := a
	for range 9 {
		last = last.Next()
	}
	return model.DHCPPool{First: a, Last: last, Leased: leased, Reserved: reserved, Taken: leased + reserved}
}

// unoffered is a run whose guests ask for an address, come to that server, and are told nothing.
func unoffered(server model.Listener) model.Run {
	run := unserved(server)
	for i := range run.Watches {
		run.Watches[i].Sightings.Traced, run.Watches[i].Sightings.Watched = true, true
	}
	for _, p := range modeltest.Bridged() {
		run.Inspections = append(run.Inspections, model.Inspection{Place: p, Round: base, DHCP: []model.DHCPOffer{{Interface: "eth0", Error: "ask for an address: no response"}}})
	}
	return run
}

// eachSighting changes what was seen around all places.
func eachSighting(change func(*model.Sightings)) func(*model.Run) {
	return func(run *model.Run) {
		for i := range run.Watches {
			if s := run.Watches[i].Sightings; s != nil {
				change(s)
			}
		}
	}
}

// A server that takes requests and makes no offer is told of with why, as far as that is known;
// what may be on the way to it is not.
func TestServersThatMakeNoOffer(t *testing.T) {
	t.Parallel()
	full := func(pools ...model.DHCPPool) model.Listener {
		l := leases()
		l.Pools = pools
		return l
	}
	blind := eachSighting(func(s *model.Sightings) { s.Watched = false })
	for name, test := range map[string]struct {
		run    model.Run
		change func(*model.Run)
		says   string // of the server; empty where it is not why
	}{
		"known guests alone":            {unoffered(leases("dhcp-ignore=tag:!known")), blind, "serves guests that it knows alone (dhcp-ignore=tag:!known)"},
		"no range for others":           {unoffered(leases("dhcp-range=10.77.0.0,static")), blind, "serves guests that it knows alone (dhcp-range=10.77.0.0,static)"},
		"a range of IPv6":               {unoffered(leases("dhcp-range=10.77.0.50,10.77.0.99,1h", "dhcp-range=fd00::1,static")), blind, ""},
		"IPv6 alone":                    {unoffered(leases("dhcp-range=fd00::1,static")), blind, ""},
		"a range of another network":    {unoffered(leases("dhcp-range=10.77.0.50,10.77.0.99,1h", "dhcp-range=10.88.0.0,static")), blind, ""},
		"a range beside that":           {unoffered(leases("dhcp-range=10.77.0.0,static", "dhcp-range=10.77.0.50,10.77.0.99,1h")), blind, ""},
		"others tagged too":             {unoffered(leases("dhcp-ignore=tag:printers,tag:!known")), blind, ""},
		"all are taken":                 {unoffered(full(pool("10.77.0.50", 7, 3))), blind, "no address left for others: of the 10 from 10.77.0.50 to 10.77.0.59 (dhcp-range) 7 are leased and 3 reserved"},
		"all but its own":               {unoffered(full(pool("10.77.0.1", 9, 0))), blind, "no address left for others"},
		"one pool of two":               {unoffered(full(pool("10.77.0.50", 7, 3), pool("10.77.0.80", 9, 0))), blind, ""},
		"a full one of another network": {unoffered(full(pool("10.78.0.50", 7, 3))), blind, ""},
		"nobody knows why":              {unoffered(leases()), nil, "makes no offer: its own log says why"},
		"not all was followed":          {unoffered(leases()), blind, ""},
		"nobody asked":                  {unoffered(leases()), func(r *model.Run) { r.Inspections = nil }, ""},
		"a request was dropped": {unoffered(leases("dhcp-ignore=tag:!known")), eachSighting(func(s *model.Sightings) {
			s.Drops = []model.Sighting{{Fate: model.Dropped, Packets: 2, Kernel: &model.KernelDrop{Reason: "TC_INGRESS", Interface: "lxdbr0"}, Flows: []model.PacketFlow{
				{Protocol: "udp", Source: netip.MustParseAddrPort("0.0.0.0:0"), Destination: netip.MustParseAddrPort("255.255.255.255:67")}}}}
		}), ""},
		"it is stopped": {unoffered(leases("dhcp-ignore=tag:!known")), eachSighting(func(s *model.Sightings) { s.Listeners[0].Stopped = true }), ""},
		"it does offer": {unoffered(leases("dhcp-ignore=tag:!known")), func(r *model.Run) {
			for i := range r.Inspections {
				r.Inspections[i].DHCP[0].Address = netip.MustParseAddr("10.77.0.77")
			}
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if test.change != nil {
				test.change(&test.run)
			}
			d := diagnose.Diagnose(test.run)
			if test.says == "" {
				require.NotEqual(t, diagnose.CauseDHCPServer, d.Cause, d.Summary)
				return
			}
			require.Equal(t, diagnose.CauseDHCPServer, d.Cause, d.Summary)
			require.Equal(t, "The DHCP server of the bridge makes new guests no offer", d.Title)
			verb := "listens for"
			if test.run.Watches[0].Sightings.Watched {
				verb = "takes"
			}
			require.Contains(t, d.Evidence[0].Text, "dnsmasq (process 58) "+verb+" DHCP requests (UDP port 67) on lxdbr0")
			require.Contains(t, d.Evidence[0].Text, test.says)
			require.Equal(t, diagnose.CauseDHCPBlocked, d.RuledOut[0].Cause, "%+v", d.RuledOut)
			require.Equal(t, test.run.Watches[0].Sightings.Watched, strings.Contains(d.Evidence[0].Text, "none was seen to be dropped on the runner"))
			require.Empty(t, d.Further)
		})
	}
}

// offered is a run whose guests took the first of these offers, and whose connections lead nowhere.
func offered(offers ...model.DHCPOffer) model.Run {
	run := lostOn(modeltest.Bridged(), toSite)
	for _, p := range modeltest.Bridged() {
		mine := append([]model.DHCPOffer{}, offers...)
		mine[0].Address = addressOf(&run, p)
		f := factsOf(&run, p)
		f.Routes[0].Gateway = mine[0].Gateway().String()
		if n := netip.PrefixFrom(mine[0].Address, mine[0].Bits).Masked(); !n.Contains(mine[0].Gateway()) {
			f.Routes = nil
		}
		watchOf(&run, p, base).Sightings.Decisions = nil
		run.Inspections = append(run.Inspections, model.Inspection{Place: p, Round: base, DHCP: mine})
	}
	return run
}

// offer is one of a server with a gateway.
func offer(server, gateway string, bits int) model.DHCPOffer {
	o := model.DHCPOffer{Interface: "eth0", Address: netip.MustParseAddr("10.77.0.99"), Server: netip.MustParseAddr(server), Bits: bits, Resolvers: []netip.Addr{netip.MustParseAddr("10.77.0.1")}}
	if gateway != "" {
		o.Router = netip.MustParseAddr(gateway)
	}
	return o
}

// Two servers are told of where what the first one gives is what leads nowhere, and no other.
func TestASecondServer(t *testing.T) {
	t.Parallel()
	rogue, own := offer("10.77.0.20", "10.77.0.20", 24), offer("10.77.0.1", "10.77.0.1", 24)
	rogue.MAC = "02:00:00:00:00:20"
	again := offer("10.77.0.20", "10.77.0.1", 24)
	for name, test := range map[string]struct {
		run   model.Run
		named bool
	}{
		"another gateway first":  {offered(rogue, own), true},
		"the right one first":    {offered(own, rogue), false},
		"one server":             {offered(rogue), false},
		"one that answers twice": {offered(rogue, again), false},
		"both say the same":      {offered(offer("10.77.0.20", "10.77.0.254", 24), offer("10.77.0.1", "10.77.0.254", 24)), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := diagnose.Diagnose(test.run)
			require.Equal(t, test.named, d.Cause == diagnose.CauseDHCPServer, d.Summary)
			if test.named {
				require.Equal(t, "A second DHCP server answers guests of the bridge", d.Title)
				require.Contains(t, d.Evidence[0].Text, "first 10.77.0.20 (02:00:00:00:00:20), which gives the gateway 10.77.0.20 and the resolver 10.77.0.1; then 10.77.0.1, the runner's own, which gives the gateway 10.77.0.1")
			}
		})
	}
	// Its gateway is not there: it is still the server that is told of.
	gone := offered(rogue, own)
	for i := range gone.Inspections {
		gone.Inspections[i].Neighbours = []model.Neighbour{{Address: "10.77.0.20", Device: "eth0", State: "failed"}}
		factsOf(&gone, gone.Inspections[i].Place).Resolvers = []string{"10.77.0.1"}
	}
	each(&gone, func(r model.Result) bool { return r.Place == modeltest.Bridged()[1] && r.Outcome == model.Fail }, passes)
	require.Equal(t, diagnose.CauseDHCPServer, diagnose.Diagnose(gone).Cause)
}

// A second server's resolver is told of where names fail by it.
func TestASecondServersResolver(t *testing.T) {
	t.Parallel()
	rogue, own := offer("10.77.0.20", "10.77.0.1", 24), offer("10.77.0.1", "10.77.0.1", 24)
	rogue.Resolvers = []netip.Addr{netip.MustParseAddr("10.77.0.20")}
	run := in(modeltest.Bridged(), namesFail(model.DNSTimeout))
	for _, p := range modeltest.Bridged() {
		factsOf(&run, p).Resolvers = []string{"10.77.0.20"}
		watchOf(&run, p, base).Sightings = &model.Sightings{}
		run.Inspections = append(run.Inspections, model.Inspection{Place: p, Round: base, DHCP: []model.DHCPOffer{rogue, own}})
	}
	d := diagnose.Diagnose(run)
	require.Equal(t, diagnose.CauseDHCPServer, d.Cause, d.Summary)
	require.Contains(t, d.Evidence[0].Text, "first 10.77.0.20, which gives the gateway 10.77.0.1 and the resolver 10.77.0.20")
	for i := range run.Inspections {
		run.Inspections[i].DHCP[1].Resolvers = rogue.Resolvers
	}
	require.NotEqual(t, diagnose.CauseDHCPServer, diagnose.Diagnose(run).Cause)
}

// A netmask that leaves out the gateway, and routes without a default one, are named; what gives
// a default route, and a network that has none on purpose, are not.
func TestOffersWithoutADefaultRoute(t *testing.T) {
	t.Parallel()
	classless := offer("10.77.0.1", "10.77.0.1", 24)
	classless.Routes = 1
	for name, test := range map[string]struct {
		offer model.DHCPOffer
		says  string
	}{
		"a netmask":         {offer("10.77.0.1", "10.77.0.1", 30), "with the netmask 255.255.255.252, that is the network 10.77.0."},
		"routes alone":      {classless, "it is given classless static routes (option 121), which clients take instead of the router 10.77.0.1 (option 3; RFC 3442), and no default route is among them"},
		"no gateway at all": {offer("10.77.0.1", "", 24), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run := offered(test.offer)
			d := diagnose.Diagnose(run)
			require.Equal(t, test.says != "", d.Cause == diagnose.CauseDHCPServer, d.Summary)
			if test.says == "" {
				return
			}
			require.Equal(t, "What DHCP gives guests leaves them without a default route", d.Title)
			require.Contains(t, d.Evidence[0].Text, test.says)
			// A client that makes one of its own has no such trouble.
			for _, p := range modeltest.Bridged() {
				factsOf(&run, p).Routes = []model.Route{{Destination: "default", Gateway: "10.77.0.1", Device: "eth0"}}
			}
			require.NotEqual(t, diagnose.CauseDHCPServer, diagnose.Diagnose(run).Cause)
		})
	}
}

// A client that has no default route although it is offered one that it can take has another trouble.
func TestOffersThatAreRight(t *testing.T) {
	t.Parallel()
	run := offered(offer("10.77.0.1", "10.77.0.1", 24))
	for _, p := range modeltest.Bridged() {
		factsOf(&run, p).Routes = nil
	}
	require.NotEqual(t, diagnose.CauseDHCPServer, diagnose.Diagnose(run).Cause)
}

// A gateway of classless routes that nobody has is told of as such.
func TestAGatewayOfClasslessRoutes(t *testing.T) {
	t.Parallel()
	o := offer("10.77.0.1", "10.77.0.1", 24)
	o.Routes, o.Classless = 1, netip.MustParseAddr("10.77.0.254")
	run := offered(o)
	for i := range run.Inspections {
		run.Inspections[i].Neighbours = []model.Neighbour{{Address: "10.77.0.254", Device: "eth0", State: "failed"}}
	}
	d := diagnose.Diagnose(run)
	require.Equal(t, diagnose.CauseMisrouted, d.Cause, d.Summary)
	require.Contains(t, d.Evidence[0].Text, "10.77.0.254, which nobody on lxdbr0 has")
	require.Contains(t, d.Evidence[0].Text, "classless static routes (option 121), which clients take instead of the router 10.77.0.1")
}

// One server of several networks gives out addresses on each: those of another one say nothing.
func TestAServerOfSeveralNetworks(t *testing.T) {
	t.Parallel()
	d := diagnose.Diagnose(unoffered(leases("dhcp-range=10.77.0.50,10.77.0.99,1h", "dhcp-range=10.88.0.50,10.88.0.99,1h")))
	require.NotContains(t, d.Summary, "a network without all of the addresses")
	require.NotEqual(t, diagnose.CauseMisrouted, d.Cause)
	d = diagnose.Diagnose(unoffered(leases("dhcp-range=10.88.0.50,10.88.0.99,1h")))
	require.Equal(t, diagnose.CauseMisrouted, d.Cause)
	require.Contains(t, d.Summary, "a network without all of the addresses")
}
