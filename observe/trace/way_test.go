package trace_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/vishvananda/netlink"

	"github.com/nestlab/nestlab/observe"
	"github.com/nestlab/nestlab/observe/ruleset"
	"github.com/nestlab/nestlab/observe/trace"
)

func TestTraceShowsHowFarAPacketGot(t *testing.T) {
	if !isolated(t) {
		return
	}
	l := newLab(t, true)
	t.Run("through", func(t *testing.T) {
		r := followed(t, tcp(guestIP, upstreamIP, 80), func() { require.NoError(t, l.guest.dial(t, upstreamIP, 80, time.Second)) })
		there, back := fate(t, r, false), fate(t, r, true)
		require.Equal(t, trace.Left, there.Outcome)
		require.Equal(t, "u0", there.Last.Out.Name)
		require.Equal(t, trace.Left, back.Outcome)
		require.Equal(t, ruleset.Bridge, back.Last.Family, "an answer goes to the guest over the bridge")
		require.Equal(t, "g0", back.Last.Out.Name)
		require.False(t, back.Ambiguous)
	})
	t.Run("to the router", func(t *testing.T) {
		r := followed(t, tcp(guestIP, bridgeIP, 53), func() { require.Error(t, l.guest.dial(t, bridgeIP, 53, time.Second)) })
		require.Equal(t, trace.Delivered, fate(t, r, false).Outcome, "nobody listens, but the rules let it in")
		require.NotZero(t, r.Paths[fate(t, r, true).Example].First().Packet.Flags&4, "a RST goes back")
	})
	t.Run("not routed", func(t *testing.T) {
		sysctl(t, "net/ipv4/ip_forward", "0")
		defer sysctl(t, "net/ipv4/ip_forward", "1")
		r := followed(t, tcp(guestIP, upstreamIP, 80), func() { require.Error(t, l.guest.dial(t, upstreamIP, 80, 200*time.Millisecond)) })
		f := fate(t, r, false)
		require.Equal(t, trace.Unfinished, f.Outcome)
		require.Equal(t, ruleset.Prerouting, f.Last.Hook)
		require.True(t, f.Last.End)
		require.Nil(t, f.By)
	})
	t.Run("dropped by INPUT", func(t *testing.T) {
		run(t, "", "iptables-nft", "-A", "INPUT", "-p", "tcp", "--dport", "53", "-j", "DROP")
		r := followed(t, tcp(guestIP, bridgeIP, 53), func() { require.True(t, timedOut(l.guest.dial(t, bridgeIP, 53, 200*time.Millisecond))) })
		f := fate(t, r, false)
		require.Equal(t, trace.Dropped, f.Outcome)
		require.Equal(t, ruleset.Input, f.By.Hook)
		require.Equal(t, "-A INPUT -p tcp -m tcp --dport 53 -j DROP", f.By.RuleText)
	})
	t.Run("dropped by OUTPUT", func(t *testing.T) {
		nft(t, "table ip o { chain o { type filter hook output priority 0; tcp dport 80 reject; }; }")
		flow := observe.To(observe.TCP, netip.Addr{}, netip.MustParseAddr(upstreamIP), 80)
		r := followed(t, flow, func() { require.Error(t, dial(upstreamIP, 80, 200*time.Millisecond)) })
		f := fate(t, r, false)
		require.Equal(t, trace.Rejected, f.Outcome)
		require.Equal(t, ruleset.Output, f.By.Hook)
		require.Equal(t, "tcp dport 80 reject", f.By.RuleText)
	})
	t.Run("ARP", func(t *testing.T) {
		nft(t, "flush ruleset\ntable arp a {\nchain i { type filter hook input priority 0; arp operation request drop\n}\n}")
		require.NoError(t, l.guest.handle.NeighDel(neighbour(t, l)))
		r := followed(t, tcp(guestIP, upstreamIP, 80), func() { require.Error(t, l.guest.dial(t, upstreamIP, 80, 200*time.Millisecond)) })
		require.Len(t, r.Fates, 1, "%+v", r.Fates)
		f := r.Fates[0]
		require.True(t, f.ARP)
		require.Equal(t, trace.Dropped, f.Outcome)
		require.Equal(t, "arp a i", f.By.ChainID.String())
		require.Equal(t, "arp operation request drop", f.By.RuleText)
		require.Equal(t, bridgeIP, f.Last.Packet.Tuple.Destination.Addr().String())
	})
}

func neighbour(t *testing.T, l *lab) *netlink.Neigh {
	t.Helper()
	all, err := l.guest.handle.NeighList(find(t, l.guest.handle, "eth0").Attrs().Index, netlink.FAMILY_V4)
	require.NoError(t, err)
	for _, n := range all {
		if n.IP.String() == bridgeIP {
			return &n
		}
	}
	require.Fail(t, "the guest knows no neighbour")
	return nil
}

func TestTraceFollowsAPacketThroughNAT(t *testing.T) {
	if !isolated(t) {
		return
	}
	l := newLab(t, false)
	run(t, "", "iptables-nft", "-t", "nat", "-A", "POSTROUTING", "-s", "10.77.0.0/24", "-j", "MASQUERADE")
	t.Run("source", func(t *testing.T) {
		r := followed(t, tcp(guestIP, upstreamIP, 80), func() { require.NoError(t, l.guest.dial(t, upstreamIP, 80, time.Second)) })
		there, back := r.Paths[fate(t, r, false).Example], r.Paths[fate(t, r, true).Example]
		require.True(t, there.Translated())
		require.Equal(t, guestIP, there.First().Packet.Tuple.Source.Addr().String())
		require.Equal(t, uplinkIP, there.Last().Packet.Tuple.Source.Addr().String())
		require.Equal(t, "-A POSTROUTING -s 10.77.0.0/24 -j MASQUERADE", there.Steps[0].RuleText)
		require.Equal(t, uplinkIP, back.First().Packet.Tuple.Destination.Addr().String())
		require.Equal(t, guestIP, back.Last().Packet.Tuple.Destination.Addr().String())
		require.False(t, back.Ambiguous)
	})
	t.Run("somebody else's answers", func(t *testing.T) {
		flow := tcp(guestIP, upstreamIP, 80)
		tracer, err := trace.Start(t.Context(), []observe.Flow{flow}, trace.Options{})
		require.NoError(t, err)
		require.NoError(t, dial(upstreamIP, 80, time.Second), "from the router itself")
		r, err := tracer.Result(t.Context())
		require.NoError(t, err)
		require.NoError(t, tracer.Close())
		require.Empty(t, r.Paths)
	})
	t.Run("an answer that ends before NAT is undone", func(t *testing.T) {
		run(t, "", "iptables-nft", "-t", "raw", "-A", "PREROUTING", "-p", "tcp", "--sport", "80", "-j", "DROP")
		r := followed(t, tcp(guestIP, upstreamIP, 80), func() { require.Error(t, l.guest.dial(t, upstreamIP, 80, 200*time.Millisecond)) })
		f := fate(t, r, true)
		require.True(t, f.Ambiguous)
		require.Equal(t, "-A PREROUTING -p tcp -m tcp --sport 80 -j DROP", f.By.RuleText)
	})
	t.Run("destination", func(t *testing.T) {
		nft(t, "flush ruleset\ntable ip n { chain p { type nat hook prerouting priority dstnat; ip daddr 203.0.113.9 tcp dport 8080 dnat to 198.51.100.2:80; }; }")
		r := followed(t, tcp(guestIP, "203.0.113.9", 8080), func() { require.NoError(t, l.guest.dial(t, "203.0.113.9", 8080, time.Second)) })
		there := r.Paths[fate(t, r, false).Example]
		require.Equal(t, "203.0.113.9:8080", there.First().Packet.Tuple.Destination.String())
		require.Equal(t, "198.51.100.2:80", there.Last().Packet.Tuple.Destination.String())
		require.Equal(t, trace.Left, there.Outcome)
	})
}

// Frames between two guests of a bridge meet iptables' FORWARD with br_netfilter.
func TestTraceSeesBridgedFrames(t *testing.T) {
	if !isolated(t) {
		return
	}
	l := newLab(t, true)
	second := newPlace(t)
	require.NoError(t, netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "g1"}, PeerName: "eth0", PeerNamespace: netlink.NsFd(second.ns)}))
	here, err := netlink.NewHandle()
	require.NoError(t, err)
	defer here.Close()
	require.NoError(t, here.LinkSetMaster(find(t, here, "g1"), find(t, here, "br0")))
	set(t, here, "g1")
	set(t, second.handle, "eth0", "10.77.0.3/24")
	second.serve(t, "10.77.0.3")
	require.Eventually(t, func() bool { return l.guest.dial(t, "10.77.0.3", 80, 100*time.Millisecond) == nil }, 10*time.Second, 10*time.Millisecond)
	for rules, chain := range map[string]string{
		"table ip filter { chain FORWARD { type filter hook forward priority 0; policy drop; }; }":               "ip filter FORWARD",
		"table bridge filter {\nchain FORWARD { type filter hook forward priority 0; ip protocol tcp drop\n}\n}": "bridge filter FORWARD",
	} {
		nft(t, "flush ruleset\n"+rules)
		flow := observe.Flow{Protocol: observe.TCP, Input: "br0", Destination: netip.MustParsePrefix("10.77.0.3/32")}
		r := followed(t, flow, func() { require.Error(t, l.guest.dial(t, "10.77.0.3", 80, 200*time.Millisecond)) })
		f := fate(t, r, false)
		require.Equal(t, trace.Dropped, f.Outcome)
		require.Equal(t, chain, f.By.ChainID.String())
	}
}

// A packet that was seen after its queue was given back.
func TestOutcomeOfQueued(t *testing.T) {
	t.Parallel()
	queued := []trace.Step{{Hook: ruleset.Forward, Verdict: ruleset.Verdict{Kind: ruleset.Queue}}}
	for hook, want := range map[ruleset.Hook]trace.Outcome{ruleset.Postrouting: trace.Left, ruleset.Input: trace.Delivered, ruleset.Forward: trace.Queued} {
		got := trace.OutcomeOf(&trace.Path{Steps: queued, Passes: []trace.Pass{{Family: ruleset.IP, Hook: hook, End: true}}})
		require.Equal(t, want, got, hook)
	}
}
