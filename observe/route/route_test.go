package route_test

import (
	"net/netip"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/nestlab/nestlab/observe"
	"github.com/nestlab/nestlab/observe/observetest"
	"github.com/nestlab/nestlab/observe/route"
	"github.com/nestlab/nestlab/testbed/nettest"
)

var (
	elsewhere  = netip.MustParseAddr("203.0.113.9")
	elsewhere6 = netip.MustParseAddr("2001:db8:999::9")
)

// from returns a TCP packet of the guest's, as the router gets it.
func from(source, destination netip.Addr) route.Packet {
	return route.Packet{
		Tuple: observe.Tuple{Protocol: observe.TCP, Source: netip.AddrPortFrom(source, 40000), Destination: netip.AddrPortFrom(destination, 443)},
		Input: observetest.Bridge,
	}
}

var (
	guest4 = from(observetest.Guest, observetest.Site)
	guest6 = from(observetest.Guest6, observetest.Site6)
	out4   = from(observetest.Guest, elsewhere)
	out6   = from(observetest.Guest6, elsewhere6)
)

// own returns the packet as one of the router's own.
func own(p route.Packet, source netip.Addr) route.Packet {
	p.Input, p.Tuple.Source = "", netip.AddrPortFrom(source, 40000)
	return p
}

type place = observetest.Network

func sysctl(path, value string) func(*testing.T, *place) {
	return func(t *testing.T, n *place) { n.Router.Set(t, path, value) }
}

func add(network string, kind int) func(*testing.T, *place) {
	return func(t *testing.T, n *place) { n.Router.Add(t, network, netlink.Route{Type: kind}) }
}

// rule adds one in the words of ip-rule(8), and a route to its table 100.
func rule(words string) func(*testing.T, *place) {
	return func(t *testing.T, n *place) {
		run := func(verb string) {
			args := strings.Fields(strings.Replace(words, "rule ", "rule "+verb+" ", 1))
			out, err := exec.CommandContext(t.Context(), "ip", args...).CombinedOutput()
			require.NoError(t, err, "%s", out)
		}
		run("add")
		t.Cleanup(func() {
			args := strings.Fields(strings.Replace(words, "rule ", "rule del ", 1))
			out, err := exec.Command("ip", args...).CombinedOutput()
			require.NoError(t, err, "%s", out)
		})
		n.Router.Add(t, "203.0.113.0/24", netlink.Route{Table: 100, LinkIndex: n.Router.Link(t, observetest.Bridge).Attrs().Index, Gw: observetest.Guest.AsSlice()})
	}
}

func nothing(*testing.T, *place) {}

func both(fs ...func(*testing.T, *place)) func(*testing.T, *place) {
	return func(t *testing.T, n *place) {
		for _, f := range fs {
			f(t, n)
		}
	}
}

var decisions = map[string]struct {
	change func(*testing.T, *place)
	packet route.Packet
	kind   route.Kind
	table  int
	out    string
	rule   string
}{
	"forwarded":        {nothing, guest4, route.Unicast, unix.RT_TABLE_MAIN, "up0", "32766: from all lookup main"},
	"forwarded IPv6":   {nothing, guest6, route.Unicast, unix.RT_TABLE_MAIN, "up0", "32766: from all lookup main"},
	"local":            {nothing, from(observetest.Guest, observetest.Gateway), route.Local, unix.RT_TABLE_LOCAL, "", "0: from all lookup local"},
	"own":              {nothing, own(guest4, observetest.Outside), route.Unicast, unix.RT_TABLE_MAIN, "up0", "32766: from all lookup main"},
	"no route":         {nothing, out4, route.NoRoute, 0, "", ""},
	"no route IPv6":    {nothing, out6, route.NoRoute, 0, "", ""},
	"own no route":     {nothing, own(out4, observetest.Outside), route.NoRoute, 0, "", ""},
	"unreachable":      {add("203.0.113.0/24", unix.RTN_UNREACHABLE), out4, route.Unreachable, unix.RT_TABLE_MAIN, "", "32766: from all lookup main"},
	"blackhole":        {add("203.0.113.0/24", unix.RTN_BLACKHOLE), out4, route.Blackhole, unix.RT_TABLE_MAIN, "", "32766: from all lookup main"},
	"prohibit":         {add("203.0.113.0/24", unix.RTN_PROHIBIT), out4, route.Prohibit, unix.RT_TABLE_MAIN, "", "32766: from all lookup main"},
	"own blackhole":    {add("203.0.113.0/24", unix.RTN_BLACKHOLE), own(out4, observetest.Outside), route.Blackhole, unix.RT_TABLE_MAIN, "", "32766: from all lookup main"},
	"prohibit IPv6":    {add("2001:db8:999::/48", unix.RTN_PROHIBIT), out6, route.Prohibit, unix.RT_TABLE_MAIN, "", "32766: from all lookup main"},
	"blackhole IPv6":   {add("2001:db8:999::/48", unix.RTN_BLACKHOLE), out6, route.Blackhole, unix.RT_TABLE_MAIN, "", "32766: from all lookup main"},
	"forwarding":       {sysctl("net/ipv4/ip_forward", "0"), guest4, route.NotForwarding, 0, "", ""},
	"forwarding one":   {sysctl("net/ipv4/conf/br0/forwarding", "0"), guest4, route.NotForwarding, 0, "", ""},
	"strict filter":    {both(sysctl("net/ipv4/conf/br0/rp_filter", "1"), away), guest4, route.ReversePath, 0, "", ""},
	"loose filter":     {both(sysctl("net/ipv4/conf/br0/rp_filter", "2"), away), guest4, route.Unicast, unix.RT_TABLE_MAIN, "up0", "32766: from all lookup main"},
	"loose, no route":  {sysctl("net/ipv4/conf/all/rp_filter", "2"), from(elsewhere, observetest.Site), route.ReversePath, 0, "", ""},
	"martian":          {nothing, from(netip.MustParseAddr("127.0.0.9"), observetest.Site), route.Martian, 0, "", ""},
	"rule by input":    {rule("rule iif br0 priority 50 lookup 100"), out4, route.Unicast, 100, "br0", "50: from all iif br0 lookup 100"},
	"rule by source":   {rule("rule from 10.91.3.0/24 to 203.0.113.0/24 priority 50 lookup 100"), out4, route.Unicast, 100, "br0", "50: from 10.91.3.0/24 to 203.0.113.0/24 lookup 100"},
	"rule by port":     {rule("rule ipproto tcp dport 443 priority 50 lookup 100"), out4, route.Unicast, 100, "br0", "50: from all dport 443 ipproto tcp lookup 100"},
	"rule by ports":    {rule("rule ipproto tcp sport 39999-40001 priority 50 lookup 100"), out4, route.Unicast, 100, "br0", "50: from all sport 39999-40001 ipproto tcp lookup 100"},
	"another port":     {rule("rule ipproto tcp dport 80 priority 50 lookup 100"), out4, route.NoRoute, 0, "", ""},
	"rule by mark":     {rule("rule fwmark 0x80000/0xff0000 priority 50 lookup 100"), marked(out4, 0x80001), route.Unicast, 100, "br0", "50: from all fwmark 0x80000/0xff0000 lookup 100"},
	"another mark":     {rule("rule fwmark 0x80000/0xff0000 priority 50 lookup 100"), marked(out4, 0x90000), route.NoRoute, 0, "", ""},
	"not a mark":       {rule("rule not fwmark 0x1 priority 50 lookup 100"), out4, route.Unicast, 100, "br0", "50: not from all fwmark 0x1 lookup 100"},
	"rule by user":     {rule("rule uidrange 1000-1001 priority 50 lookup 100"), user(own(out4, observetest.Outside), 1000), route.Unicast, 100, "br0", "50: from all uidrange 1000-1001 lookup 100"},
	"another user":     {rule("rule uidrange 1000-1001 priority 50 lookup 100"), user(own(out4, observetest.Outside), 0), route.NoRoute, 0, "", ""},
	"prohibit rule":    {rule("rule from 10.91.3.0/24 priority 50 prohibit"), guest4, route.Prohibit, 0, "", "50: from 10.91.3.0/24 prohibit"},
	"blackhole rule":   {rule("rule iif br0 priority 50 blackhole"), guest4, route.Blackhole, 0, "", "50: from all iif br0 blackhole"},
	"unreachable rule": {rule("rule iif br0 priority 50 unreachable"), guest4, route.Unreachable, 0, "", "50: from all iif br0 unreachable"},
	"goto":             {both(rule("rule priority 50 goto 60"), sneak, late), out4, route.Unicast, 100, "br0", "60: from all lookup 100"},
	"goto refusing":    {both(rule("rule priority 50 goto 60"), sneak, late, refused), out4, route.Prohibit, 100, "", "60: from all lookup 100"},
	"suppressed":       {both(rule("rule iif br0 priority 50 lookup main suppress_prefixlength 0"), defaultRoute), out4, route.Unicast, unix.RT_TABLE_MAIN, "up0", "32766: from all lookup main"},
}

func away(t *testing.T, n *place) {
	n.Router.Route(t, observetest.Uplink, "10.91.3.5/32", observetest.Site)
}

func defaultRoute(t *testing.T, n *place) {
	n.Router.Route(t, observetest.Uplink, "", observetest.Site)
}

// sneak is jumped over.
func sneak(t *testing.T, n *place) { policy(t, n, 55, unix.RTN_BLACKHOLE) }
func late(t *testing.T, n *place)  { policy(t, n, 60, unix.RTN_UNICAST) }

func refused(t *testing.T, n *place) {
	n.Router.Add(t, elsewhere.String()+"/32", netlink.Route{Table: 100, Type: unix.RTN_PROHIBIT})
}

func policy(t *testing.T, n *place, priority int, kind uint8) {
	r := netlink.NewRule()
	r.Priority, r.Type, r.Family = priority, kind, netlink.FAMILY_V4
	if kind == unix.RTN_UNICAST {
		r.Table = 100
	} else {
		r.Type = 6 // FR_ACT_BLACKHOLE
	}
	require.NoError(t, n.Router.RuleAdd(r))
	t.Cleanup(func() { require.NoError(t, n.Router.RuleDel(r)) })
}

func marked(p route.Packet, mark uint32) route.Packet {
	p.Mark = mark
	return p
}

func user(p route.Packet, uid uint32) route.Packet {
	p.UID = &uid
	return p
}

func TestDecide(t *testing.T) {
	t.Parallel()
	if !nettest.Isolated(t) {
		return
	}
	n := observetest.New(t)
	for name, c := range decisions {
		t.Run(name, func(t *testing.T) {
			c.change(t, n)
			d, err := route.Decide(c.packet)
			require.NoError(t, err)
			require.Equal(t, c.kind, d.Kind)
			require.Equal(t, c.table, d.Table)
			if c.kind == route.Unicast {
				require.Equal(t, c.out, d.Interface)
			}
			if c.rule == "" {
				require.Nil(t, d.Rule)
				return
			}
			require.NotNil(t, d.Rule)
			require.Equal(t, c.rule, d.Rule.String())
		})
	}
}

func TestGateway(t *testing.T) {
	t.Parallel()
	if !nettest.Isolated(t) {
		return
	}
	n := observetest.New(t)
	n.Router.Add(t, "203.0.113.0/24", netlink.Route{LinkIndex: n.Router.Link(t, observetest.Uplink).Attrs().Index, Gw: observetest.Site.AsSlice(), MTU: 1400})
	n.Router.Add(t, "192.0.2.0/24", netlink.Route{LinkIndex: n.Router.Link(t, observetest.Uplink).Attrs().Index, Via: &netlink.Via{AddrFamily: unix.AF_INET6, Addr: observetest.Site6.AsSlice()}})
	d, err := route.Decide(own(out4, netip.Addr{}))
	require.NoError(t, err)
	require.Equal(t, observetest.Site, d.Gateway)
	require.Equal(t, observetest.Site, d.NextHop())
	require.Equal(t, observetest.Outside, d.Source)
	require.Equal(t, 1400, d.MTU)
	d, err = route.Decide(own(from(observetest.Guest, netip.MustParseAddr("192.0.2.9")), netip.Addr{}))
	require.NoError(t, err)
	require.Equal(t, observetest.Site6, d.NextHop(), "a gateway of the other family")
}

func TestBoth(t *testing.T) {
	t.Parallel()
	if !nettest.Isolated(t) {
		return
	}
	n := observetest.New(t)
	for _, p := range []route.Packet{guest4, guest6} {
		there, back, err := route.Both(p)
		require.NoError(t, err)
		require.Equal(t, "up0", there.Interface)
		require.Equal(t, "br0", back.Interface)
		require.Equal(t, p.Tuple.Source.Addr(), back.NextHop())
	}
	away(t, n)
	_, back, err := route.Both(guest4)
	require.NoError(t, err)
	require.Equal(t, "up0", back.Interface, "the reply goes elsewhere")
	there, back, err := route.Both(out4)
	require.NoError(t, err)
	require.Equal(t, route.NoRoute, there.Kind)
	require.Nil(t, back)
}

func TestInvalidQuestions(t *testing.T) {
	t.Parallel()
	_, err := route.Decide(route.Packet{})
	require.ErrorContains(t, err, "name a destination")
	_, err = route.Decide(from(observetest.Guest6, observetest.Site))
	require.ErrorContains(t, err, "a source of its family")
	_, err = route.Decide(from(netip.Addr{}, observetest.Site))
	require.ErrorContains(t, err, "one that comes in by br0 needs a source")
	p := guest4
	p.Input = "none0"
	_, err = route.Decide(p)
	require.ErrorContains(t, err, `find interface "none0"`)
}
