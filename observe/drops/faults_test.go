package drops_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/nftables"
	"github.com/stretchr/testify/require"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/nestlab/nestlab/observe"
	"github.com/nestlab/nestlab/observe/drops"
	"github.com/nestlab/nestlab/observe/observetest"
	"github.com/nestlab/nestlab/testbed/nettest"
)

const silence = 100 * time.Millisecond // how long a probe waits for an answer

var (
	elsewhere  = netip.MustParseAddr("203.0.113.9")
	elsewhere6 = netip.MustParseAddr("2001:db8:999::9")
	absent     = netip.MustParseAddr("198.51.100.77")
	absent6    = netip.MustParseAddr("2001:db8:100::77")
)

type breaks func(*testing.T, *observetest.Network)

// fault is a way to lose a packet of the guest, and what the kernel says of it.
type fault struct {
	breaks   breaks
	protocol observe.Protocol
	to       netip.Addr
	where    string // the interface
	reason   string
	by       string // the function, and what older kernels have instead
}

func sysctl(path, value string) breaks {
	return func(t *testing.T, n *observetest.Network) { n.Router.Set(t, path, value) }
}

// filter drops TCP on a hook of the router.
func filter(hook *nftables.ChainHook) breaks {
	return func(t *testing.T, _ *observetest.Network) {
		t.Cleanup(nettest.Filter(t, nil, hook, append(nettest.Protocol(unix.IPPROTO_TCP), nettest.Drop())...))
	}
}

func route(network string, kind int) breaks {
	return func(t *testing.T, n *observetest.Network) { n.Router.Add(t, network, netlink.Route{Type: kind}) }
}

func nothing(*testing.T, *observetest.Network) {}

// strict makes the router expect the guest's packets on its uplink.
func strict(t *testing.T, n *observetest.Network) {
	n.Router.Set(t, "net/ipv4/conf/br0/rp_filter", "1")
	n.Router.Route(t, observetest.Uplink, "10.91.3.5/32", observetest.Site)
}

// near makes the guest's packets expire at the router.
func near(t *testing.T, n *observetest.Network) {
	n.Guest.Set(t, "net/ipv4/ip_default_ttl", "1")
	n.Guest.Set(t, "net/ipv6/conf/eth0/hop_limit", "1")
}

// impatient makes the router give a neighbour up soon.
func impatient(t *testing.T, n *observetest.Network) {
	for _, family := range []string{"ipv4", "ipv6"} {
		n.Router.Set(t, "net/"+family+"/neigh/up0/retrans_time_ms", "20")
		n.Router.Set(t, "net/"+family+"/neigh/up0/mcast_solicit", "1")
	}
}

var faults = map[string]fault{
	"prerouting hook":     {filter(nftables.ChainHookPrerouting), observe.TCP, observetest.Site, "br0", "NETFILTER_DROP", "nft_do_chain nf_hook_slow"},
	"forward hook":        {filter(nftables.ChainHookForward), observe.TCP, observetest.Site, "br0", "NETFILTER_DROP", "nft_do_chain nf_hook_slow"},
	"forward hook IPv6":   {filter(nftables.ChainHookForward), observe.TCP, observetest.Site6, "br0", "NETFILTER_DROP", "nft_do_chain nf_hook_slow"},
	"forwarding":          {sysctl("net/ipv4/ip_forward", "0"), observe.TCP, observetest.Site, "br0", "IP_INADDRERRORS", "ip_error"},
	"forwarding of one":   {sysctl("net/ipv4/conf/br0/forwarding", "0"), observe.TCP, observetest.Site, "br0", "IP_INADDRERRORS", "ip_error"},
	"forwarding IPv6":     {sysctl("net/ipv6/conf/all/forwarding", "0"), observe.TCP, observetest.Site6, "br0", "IP_INADDRERRORS", "ip6_forward"},
	"reverse path":        {strict, observe.TCP, observetest.Site, "br0", "IP_RPFILTER", "ip_rcv_finish_core"},
	"no listener UDP":     {nothing, observe.UDP, observetest.Site, "eth0", "NO_SOCKET", "__udp4_lib_rcv"},
	"no listener UDPIPv6": {nothing, observe.UDP, observetest.Site6, "eth0", "NO_SOCKET", "__udp6_lib_rcv"},
	"no listener TCP":     {nothing, observe.TCP, observetest.Site, "eth0", "NO_SOCKET", "tcp_v4_rcv"},
	"no listener TCPIPv6": {nothing, observe.TCP, observetest.Site6, "eth0", "NO_SOCKET", "tcp_v6_rcv"},
	"no route":            {nothing, observe.TCP, elsewhere, "br0", "IP_INNOROUTES", "ip_error"},
	"no route IPv6":       {nothing, observe.TCP, elsewhere6, "br0", "IP_INNOROUTES", "ip6_pkt_discard"},
	"blackhole":           {route("203.0.113.0/24", unix.RTN_BLACKHOLE), observe.TCP, elsewhere, "br0", "NOT_SPECIFIED", "ip_error"},
	"prohibited":          {route("203.0.113.0/24", unix.RTN_PROHIBIT), observe.TCP, elsewhere, "br0", "NOT_SPECIFIED", "ip_error"},
	"time to live":        {near, observe.TCP, observetest.Site, "br0", "IP_INHDR", "ip_forward"},
	"hop limit IPv6":      {near, observe.TCP, observetest.Site6, "br0", "IP_INHDR", "ip6_forward"},
	"neighbour":           {impatient, observe.TCP, absent, "up0", "NEIGH_FAILED", "neigh_invalidate arp_error_report"},
	"neighbour IPv6":      {impatient, observe.TCP, absent6, "up0", "NOT_SPECIFIED", "neigh_invalidate ndisc_error_report"},
}

// TestFaults sends a packet into each fault. A reason that an older kernel does not
// have is NOT_SPECIFIED there.
func TestFaults(t *testing.T) {
	t.Parallel()
	if !nettest.Isolated(t) {
		return
	}
	n := observetest.New(t)
	for name, f := range faults {
		t.Run(name, func(t *testing.T) {
			f.breaks(t, n)
			f.test(t, n)
		})
	}
}

func (f fault) test(t *testing.T, n *observetest.Network) {
	watch, port := f.watch()
	w, err := drops.Start(within(t, n, watch))
	require.NoError(t, err)
	require.Error(t, n.Guest.Dial(t, f.protocol.String(), f.to, port, silence))
	got := await(t, w)
	r, err := w.Stop()
	require.NoError(t, err)
	require.Zero(t, r.Lost)
	require.Empty(t, r.Missing)
	place := n.Router
	if f.where == observetest.NIC {
		place = n.Site
	}
	require.Equal(t, place.Inode(t), got.Namespace)
	require.Equal(t, f.where, got.Interface)
	require.Equal(t, drops.Reason(f.reason), got.Reason)
	require.Contains(t, strings.Fields(f.by), got.Function)
	require.Equal(t, netip.AddrPortFrom(f.to, port), got.Tuple.Destination)
	require.Equal(t, watch.Flows[0].Source.Addr(), got.Tuple.Source.Addr())
	require.NotZero(t, got.Tuple.Source.Port())
	require.False(t, got.Reply)
}

func (f fault) watch() (drops.Watch, uint16) {
	const port = 80
	from := observetest.Guest
	if f.to.Is6() {
		from = observetest.Guest6
	}
	return drops.Watch{Flows: []observe.Flow{observe.To(f.protocol, from, f.to, port)}}, port
}

// within limits a watch to the test's namespaces: others use its addresses too.
func within(t *testing.T, n *observetest.Network, w drops.Watch) drops.Watch {
	w.Namespaces = []uint32{n.Guest.Inode(t), n.Router.Inode(t), n.Site.Inode(t)}
	return w
}

// await returns the first drop.
func await(t *testing.T, w *drops.Watcher) drops.Count {
	t.Helper()
	var r drops.Report
	require.Eventually(t, func() bool {
		var err error
		r, err = w.Report()
		require.NoError(t, err)
		return len(r.Drops) > 0
	}, 10*time.Second, 5*time.Millisecond, "the kernel dropped nothing")
	return r.Drops[0]
}
