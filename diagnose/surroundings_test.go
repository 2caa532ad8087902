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

// stoppedServer has the bridge's socket for DHCP, and a signal has stopped it.
var stoppedServer = model.Listener{Protocol: "udp", Address: netip.MustParseAddrPort("0.0.0.0:67"), Interface: "lxdbr0", Process: "dnsmasq", PID: 58, Stopped: true}

// notrack is a rule that takes packets out of connection tracking.
var notrack = model.FirewallRule{Family: "ip", Table: "tuning", Chain: "pre", Hook: "prerouting", Handle: 2, Text: "ip saddr 10.77.0.0/24 notrack"}

// sightings are what is seen around packets that are lost, by the cause that it is of.
var sightings = map[string]model.Sightings{
	diagnose.CauseARPOff:           {Interfaces: []model.InterfaceSettings{{Interface: "lxdbr0", Forwarding4: true, NoARP: true}}},
	diagnose.CauseConntrackTimeout: {Conntrack: &model.Conntrack{Max: 65536, Timeouts: []model.ConntrackTimeout{{Setting: "nf_conntrack_tcp_timeout_syn_sent", Seconds: 0}}}},
	diagnose.CauseTrafficControl: {Surroundings: model.Surroundings{Filters: []model.TrafficFilter{
		{Interface: "lxdbr0", Kind: "u32", Priority: 10, To: "ids0", Packets: 99},
	}}},
	diagnose.CauseStaticNeighbour: {Decisions: []model.Decision{{
		Source: netip.MustParseAddr("10.77.0.10"), Destination: netip.MustParseAddr("198.51.100.10"), In: "lxdbr0", Kind: "unicast", Out: "eth0", Main: "eth0",
		Hop: &model.NextHop{Address: netip.MustParseAddr("198.51.100.10"), Permanent: true, State: "permanent", MAC: "02:00:00:00:00:66"},
	}}},
}

// around is a run whose guests' packets are lost, with that around them.
func around(cause string) func() model.Run {
	return func() model.Run {
		switch cause {
		case diagnose.CauseAltered:
			return seen(model.Sighting{Fate: model.Untracked, Rule: &notrack})
		case diagnose.CauseIPsecPolicy:
			return seen(model.Sighting{Fate: model.Dropped, Kernel: &model.KernelDrop{Reason: "XFRM_POLICY", Function: "ip_forward", Interface: "lxdbr0"}})
		}
		run := seen(model.Sighting{Fate: model.Dropped, Rule: &someRule})
		for _, p := range modeltest.Bridged() {
			s := sightings[cause]
			watchOf(&run, p, base).Sightings = &s
		}
		return run
	}
}

// The queueing discipline, and the policy of IPsec, stand in the evidence of a drop of theirs.
func TestKernelDropsSayWhatTheyHangOn(t *testing.T) {
	t.Parallel()
	network := netip.MustParsePrefix("10.77.0.0/24")
	for _, test := range []struct {
		drop   model.KernelDrop
		around model.Surroundings
		cause  string
		says   string
	}{
		{model.KernelDrop{Reason: "QDISC_DROP", Function: "__dev_xmit_skb", Interface: "lxdbr0"},
			model.Surroundings{Queues: []model.Queue{{Interface: "eth0", Kind: "fq_codel", Dropped: 1}, {Interface: "lxdbr0", Kind: "tbf", Burst: 1000, MTU: 1500, Dropped: 7}}},
			diagnose.CauseTrafficControl, "the queueing discipline tbf of lxdbr0 dropped 7 packets: its burst is 1000 bytes, less than a packet (the MTU is 1500)"},
		{model.KernelDrop{Reason: "XFRM_POLICY", Function: "ip_forward", Interface: "lxdbr0"},
			model.Surroundings{IPsec: []model.IPsecPolicy{
				{Source: netip.MustParsePrefix("192.0.2.0/24"), Direction: "fwd"}, {Source: network, Destination: netip.MustParsePrefix("0.0.0.0/0"), Direction: "fwd"},
			}},
			diagnose.CauseIPsecPolicy, "the IPsec policy src 10.77.0.0/24 dst 0.0.0.0/0 dir fwd blocks them"},
	} {
		run := seen(model.Sighting{Fate: model.Dropped, Kernel: &test.drop})
		for _, p := range modeltest.Bridged() {
			watchOf(&run, p, base).Sightings.Surroundings = test.around
		}
		d := diagnose.Diagnose(run)
		require.Equal(t, test.cause, d.Cause)
		says := 0
		for _, e := range d.Evidence {
			if strings.Contains(e.Text, "; "+test.says) {
				says++
			}
		}
		require.Equal(t, len(modeltest.Bridged()), says, "%+v", d.Evidence)
	}
}

// What would be a cause of lost packets is none where it cannot be theirs.
func TestSurroundingsOfOtherPackets(t *testing.T) {
	t.Parallel()
	for cause, change := range map[string]func(*model.Sightings){
		diagnose.CauseARPOff: func(s *model.Sightings) { s.Interfaces = []model.InterfaceSettings{{Interface: "virbr7", NoARP: true}} },
		diagnose.CauseConntrackTimeout: func(s *model.Sightings) {
			s.Conntrack = &model.Conntrack{Timeouts: []model.ConntrackTimeout{{Setting: "nf_conntrack_tcp_timeout_syn_sent", Seconds: 20}}}
		},
		diagnose.CauseTrafficControl: func(s *model.Sightings) {
			s.Filters = []model.TrafficFilter{{Interface: "virbr7", Packets: 99}, {Interface: "lxdbr0", Packets: 1}}
		},
		diagnose.CauseStaticNeighbour: func(s *model.Sightings) {
			d := sightings[diagnose.CauseStaticNeighbour].Decisions[0]
			d.Destination = netip.MustParseAddr("198.51.100.99")
			s.Decisions = []model.Decision{d}
		},
		diagnose.CauseServerStopped: func(s *model.Sightings) {
			s.Listeners = []model.Listener{stoppedServer, {Protocol: "udp", Address: stoppedServer.Address, Process: "dnsmasq", PID: 59}}
		},
	} {
		run := around(cause)()
		if cause == diagnose.CauseServerStopped {
			run = unserved(stoppedServer)
		}
		require.Equal(t, cause, diagnose.Diagnose(run).Cause)
		for i := range run.Watches {
			if s := run.Watches[i].Sightings; s != nil {
				other := *s
				change(&other)
				run.Watches[i].Sightings = &other
			}
		}
		require.NotEqual(t, cause, diagnose.Diagnose(run).Cause)
	}
}

// arp_ignore is named where no request is answered, and not where some are.
func TestARPIgnored(t *testing.T) {
	t.Parallel()
	for value, named := range map[int]bool{1: false, 2: false, 8: true} {
		run := around(diagnose.CauseARPOff)()
		for i := range run.Watches {
			if run.Watches[i].Sightings != nil {
				run.Watches[i].Sightings = &model.Sightings{Interfaces: []model.InterfaceSettings{{Interface: "lxdbr0", Forwarding4: true, ARPIgnore: value}}}
			}
		}
		d := diagnose.Diagnose(run)
		require.Equal(t, named, d.Cause == diagnose.CauseARPOff, "%d: %s", value, d.Summary)
		if named {
			require.Contains(t, d.Summary, "net.ipv4.conf.lxdbr0.arp_ignore")
			require.Equal(t, "arp-answer", d.Remedy.Name)
		}
	}
}

// A route of the runner's own that is narrower than the rest is named, and sizes the remedy.
func TestNarrowRoutesAreNamed(t *testing.T) {
	t.Parallel()
	run := in(modeltest.Bridged(), on(model.ProbePathMTU, fails(model.MTU)))
	for _, p := range modeltest.Bridged() {
		watchOf(&run, p, base).Sightings = &model.Sightings{Decisions: []model.Decision{{
			Source: netip.MustParseAddr("198.51.100.10"), Destination: netip.MustParseAddr("10.77.0.10"), Reply: true, Kind: "unicast", Out: "lxdbr0", MTU: 1300,
		}}}
	}
	d := diagnose.Diagnose(run)
	require.Equal(t, diagnose.CauseMTUBlackhole, d.Cause)
	require.Contains(t, d.Evidence[0].Text, "own route to 10.77.0.10 by lxdbr0 has an MTU of 1300 bytes")
	require.Equal(t, "1300", d.Remedy.Parameters["mtu"])
}

// What drops the answers of a DHCP server is named, though guests have no address to tell
// their packets by.
func TestAnswersToGuestsWithoutAddress(t *testing.T) {
	t.Parallel()
	run := unserved(model.Listener{Protocol: "udp", Address: netip.MustParseAddrPort("0.0.0.0:67"), Interface: "lxdbr0", Process: "dnsmasq", PID: 58})
	rule := model.FirewallRule{Family: "ip", Table: "egress", Chain: "out", Hook: "output", Handle: 2, Text: "ip daddr 10.0.0.0/8 drop"}
	for i := range run.Watches {
		run.Watches[i].Sightings.Drops = []model.Sighting{{Reply: true, Fate: model.Dropped, Rule: &rule, Out: "lxdbr0", Packets: 2, Flows: []model.PacketFlow{
			{Protocol: "udp", Source: netip.MustParseAddrPort("10.77.0.1:67"), Destination: netip.MustParseAddrPort("10.77.0.33:0")},
		}}}
	}
	d := diagnose.Diagnose(run)
	require.Equal(t, diagnose.CauseDroppedByRule, d.Cause, d.Summary)
	require.Contains(t, d.Summary, rule.Text)
}

// Names that another resolver answers without IPv4 addresses are a matter of the rule
// that leads there, if the runner is given some.
func TestRedirectedNamesWithoutAddresses(t *testing.T) {
	t.Parallel()
	run := in(modeltest.Bridged(), both46(true))
	rule := model.FirewallRule{Family: "ip", Table: "dnsfilter", Chain: "pre", Hook: "prerouting", Handle: 2, Text: `iifname "lxdbr0" udp dport 53 redirect to :5300`}
	for _, p := range modeltest.Bridged() {
		resolver := netip.MustParseAddr(factsOf(&run, p).Resolvers[0])
		watchOf(&run, p, base).Sightings = &model.Sightings{
			ListenersRead: true, Listeners: []model.Listener{{Protocol: "udp", Address: netip.AddrPortFrom(resolver, 5300), Process: "dnsmasq", PID: 7}},
			Drops: []model.Sighting{{Fate: model.Redirected, Rule: &rule, In: "lxdbr0", Packets: 3, Redirect: netip.AddrPortFrom(resolver, 5300),
				Flows: []model.PacketFlow{{Protocol: "udp", Source: netip.AddrPortFrom(addressOf(&run, p), 0), Destination: netip.AddrPortFrom(resolver, 53)}}}},
		}
	}
	d := diagnose.Diagnose(run)
	require.Equal(t, diagnose.CauseRedirected, d.Cause, d.Summary)
	says := 0
	for _, e := range d.Evidence {
		if strings.HasSuffix(e.Text, "; dnsmasq (process 7) of the runner listens there, on udp port 5300") {
			says++
		}
	}
	require.Equal(t, len(modeltest.Bridged()), says, "%+v", d.Evidence)
	require.NotContains(t, d.Summary, "Not explained")
}
