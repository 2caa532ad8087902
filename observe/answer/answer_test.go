package answer_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/nestlab/nestlab/observe"
	"github.com/nestlab/nestlab/observe/answer"
	"github.com/nestlab/nestlab/observe/observetest"
	"github.com/nestlab/nestlab/testbed/nettest"
)

const patience = 200 * time.Millisecond // a probe's deadline

// reject refuses what goes to port 80, as REJECT does.
func reject(t *testing.T, at *observetest.Place, hook *nftables.ChainHook, kind uint32, code uint8) {
	t.Helper()
	rule := append(nettest.ToPort(80), &expr.Reject{Type: kind, Code: code})
	var undo func()
	at.Do(t, func() { undo = nettest.Filter(t, nil, hook, rule...) })
	t.Cleanup(func() { at.Do(t, undo) })
}

// masquerade translates the guest's source on the uplink.
func masquerade(t *testing.T) {
	t.Helper()
	conn, err := nftables.New()
	require.NoError(t, err)
	table := conn.AddTable(&nftables.Table{Family: nftables.TableFamilyINet, Name: "nat"})
	chain := conn.AddChain(&nftables.Chain{Name: "post", Table: table, Type: nftables.ChainTypeNAT, Hooknum: nftables.ChainHookPostrouting, Priority: nftables.ChainPriorityNATSource})
	conn.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: []expr.Any{
		&expr.Meta{Key: expr.MetaKeyOIFNAME, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: append([]byte(observetest.Uplink), make([]byte, 16-len(observetest.Uplink))...)},
		&expr.Masq{},
	}})
	require.NoError(t, conn.Flush())
	t.Cleanup(func() {
		conn.DelTable(table)
		require.NoError(t, conn.Flush())
	})
}

// refusal is one way to refuse, and what is to be seen of it.
type refusal struct {
	protocol observe.Protocol
	to       netip.Addr
	port     uint16
	refuse   func(*testing.T, *observetest.Network)
	answer   observe.Protocol
	kind     uint8
	code     uint8
	sender   netip.Addr
	host     bool
}

func router(hook *nftables.ChainHook, kind uint32, code uint8) func(*testing.T, *observetest.Network) {
	return func(t *testing.T, n *observetest.Network) { reject(t, n.Router, hook, kind, code) }
}

func site(kind uint32, code uint8) func(*testing.T, *observetest.Network) {
	return func(t *testing.T, n *observetest.Network) { reject(t, n.Site, nftables.ChainHookInput, kind, code) }
}

func nothing(*testing.T, *observetest.Network) {}

var (
	forward = nftables.ChainHookForward
	input   = nftables.ChainHookInput
	absent  = netip.MustParseAddr("203.0.113.9")
)

// Codes of ICMP: port unreachable and administratively prohibited.
const (
	port, prohibited   = 3, 13
	port6, prohibited6 = 4, 1
)

var refusals = map[string]refusal{
	"closed port of the site":       {observe.TCP, observetest.Site, 80, nothing, observe.TCP, 0, 0, observetest.Site, false},
	"closed port of the site, IPv6": {observe.TCP, observetest.Site6, 80, nothing, observe.TCP, 0, 0, observetest.Site6, false},
	"closed port of the host":       {observe.TCP, observetest.Gateway, 80, nothing, observe.TCP, 0, 0, observetest.Gateway, true},
	"closed UDP port of the site":   {observe.UDP, observetest.Site, 80, nothing, observe.ICMP, 3, port, observetest.Site, false},
	"closed UDP port of the host":   {observe.UDP, observetest.Gateway6, 80, nothing, observe.ICMPv6, 1, port6, observetest.Gateway6, true},
	"rejected by the host":          {observe.TCP, observetest.Site, 80, router(forward, unix.NFT_REJECT_ICMPX_UNREACH, unix.NFT_REJECT_ICMPX_PORT_UNREACH), observe.ICMP, 3, port, observetest.Gateway, true},
	"rejected by the host, IPv6":    {observe.TCP, observetest.Site6, 80, router(forward, unix.NFT_REJECT_ICMPX_UNREACH, unix.NFT_REJECT_ICMPX_PORT_UNREACH), observe.ICMPv6, 1, port6, observetest.Gateway6, true},
	"prohibited by the host":        {observe.UDP, observetest.Site, 80, router(forward, unix.NFT_REJECT_ICMPX_UNREACH, unix.NFT_REJECT_ICMPX_ADMIN_PROHIBITED), observe.ICMP, 3, prohibited, observetest.Gateway, true},
	"prohibited by the host, IPv6":  {observe.UDP, observetest.Site6, 80, router(forward, unix.NFT_REJECT_ICMPX_UNREACH, unix.NFT_REJECT_ICMPX_ADMIN_PROHIBITED), observe.ICMPv6, 1, prohibited6, observetest.Gateway6, true},
	"input of the host":             {observe.UDP, observetest.Gateway, 80, router(input, unix.NFT_REJECT_ICMPX_UNREACH, unix.NFT_REJECT_ICMPX_ADMIN_PROHIBITED), observe.ICMP, 3, prohibited, observetest.Gateway, true},
	"reset by the host":             {observe.TCP, observetest.Site, 80, router(forward, unix.NFT_REJECT_TCP_RST, 0), observe.TCP, 0, 0, observetest.Site, true},
	"reset by the host, IPv6":       {observe.TCP, observetest.Site6, 80, router(forward, unix.NFT_REJECT_TCP_RST, 0), observe.TCP, 0, 0, observetest.Site6, true},
	"prohibited by the site":        {observe.TCP, observetest.Site, 80, site(unix.NFT_REJECT_ICMPX_UNREACH, unix.NFT_REJECT_ICMPX_ADMIN_PROHIBITED), observe.ICMP, 3, prohibited, observetest.Site, false},
	"prohibited by the site, IPv6":  {observe.UDP, observetest.Site6, 80, site(unix.NFT_REJECT_ICMPX_UNREACH, unix.NFT_REJECT_ICMPX_ADMIN_PROHIBITED), observe.ICMPv6, 1, prohibited6, observetest.Site6, false},
	"reset by the site":             {observe.TCP, observetest.Site, 80, site(unix.NFT_REJECT_TCP_RST, 0), observe.TCP, 0, 0, observetest.Site, false},
	"no route of the host":          {observe.TCP, absent, 80, nothing, observe.ICMP, 3, 0, observetest.Gateway, true},
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	if !nettest.Isolated(t) {
		return
	}
	n := observetest.New(t)
	for name, r := range refusals {
		for _, nat := range []bool{false, true} {
			suffix := ""
			if nat {
				suffix = " behind NAT"
			}
			t.Run(name+suffix, func(t *testing.T) {
				n.Router.Set(t, "net/ipv4/icmp_ratemask", "0") // a limit of 0 takes the tokens of "no route"
				n.Router.Set(t, "net/ipv6/icmp/ratelimit", "0")
				if nat {
					masquerade(t)
				}
				r.refuse(t, n)
				r.test(t, n)
			})
		}
	}
}

func (r refusal) test(t *testing.T, n *observetest.Network) {
	from := observetest.Guest
	if r.to.Is6() {
		from = observetest.Guest6
	}
	w, err := answer.Start(t.Context(), observe.To(r.protocol, from, r.to, r.port))
	require.NoError(t, err)
	require.Error(t, n.Guest.Dial(t, r.protocol.String(), r.to, r.port, patience))
	report, err := w.Stop()
	require.NoError(t, err)
	require.Zero(t, report.Lost)
	require.Len(t, report.Answers, 1, "%+v", report.Answers)
	got := report.Answers[0]
	require.Equal(t, r.answer, got.Protocol)
	require.Equal(t, [2]uint8{r.kind, r.code}, [2]uint8{got.Type, got.Code})
	require.Equal(t, r.host, got.Host, "%+v", got)
	require.Equal(t, netip.AddrPortFrom(r.to, r.port), got.Refused.Destination)
	require.Equal(t, r.protocol, got.Refused.Protocol)
	first := got.Sights[0]
	require.Equal(t, r.sender, first.From)
	require.EqualValues(t, 64, first.Hops)
	last := got.Sights[len(got.Sights)-1]
	require.Equal(t, from, last.To)
	require.Equal(t, observetest.Port, last.Interface)
	require.False(t, last.Incoming)
	if r.host {
		for _, s := range got.Sights {
			require.NotEqual(t, observetest.Uplink, s.Interface)
		}
		return
	}
	require.Equal(t, observetest.Uplink, first.Interface)
	require.Equal(t, []answer.Sight{
		{Interface: observetest.Bridge, Hops: 63, From: r.sender, To: from},
		{Interface: observetest.Port, Port: true, Hops: 63, From: r.sender, To: from},
	}, got.Sights[1:], "it is forwarded")
}

// TestTooBig has a router tell the MTU.
func TestTooBig(t *testing.T) {
	t.Parallel()
	if !nettest.Isolated(t) {
		return
	}
	n := observetest.New(t)
	require.NoError(t, n.Router.LinkSetMTU(n.Router.Link(t, observetest.Uplink), 1300))
	for _, to := range []netip.Addr{observetest.Site, observetest.Site6} {
		w, err := answer.Start(t.Context(), observe.To(observe.UDP, netip.Addr{}, to, 80))
		require.NoError(t, err)
		n.Guest.Send(t, to, 80, 1400)
		require.Eventually(t, func() bool { return len(w.Report().Answers) > 0 }, 5*time.Second, 5*time.Millisecond, "nobody answered")
		report, err := w.Stop()
		require.NoError(t, err)
		require.EqualValues(t, 1300, report.Answers[0].MTU)
		require.True(t, report.Answers[0].Host)
	}
}

// TestOwn refuses the host's own packets: the answer is on the loopback alone.
func TestOwn(t *testing.T) {
	t.Parallel()
	if !nettest.Isolated(t) {
		return
	}
	n := observetest.New(t)
	reject(t, n.Router, nftables.ChainHookOutput, unix.NFT_REJECT_ICMPX_UNREACH, unix.NFT_REJECT_ICMPX_ADMIN_PROHIBITED)
	w, err := answer.Start(t.Context(), observe.To(observe.TCP, netip.Addr{}, observetest.Site, 80))
	require.NoError(t, err)
	require.Error(t, n.Router.Dial(t, "tcp", observetest.Site, 80, patience))
	require.Eventually(t, func() bool { return len(w.Report().Answers) > 0 }, 5*time.Second, 5*time.Millisecond, "nobody answered")
	report, err := w.Stop()
	require.NoError(t, err)
	require.True(t, report.Answers[0].Host)
	require.Equal(t, "lo", report.Answers[0].Sights[0].Interface)
}

// TestOthers shows that nothing is told of other flows.
func TestOthers(t *testing.T) {
	t.Parallel()
	if !nettest.Isolated(t) {
		return
	}
	n := observetest.New(t)
	w, err := answer.Start(t.Context(), observe.To(observe.TCP, observetest.Guest, observetest.Site, 81))
	require.NoError(t, err)
	seen, err := answer.Start(t.Context(), observe.To(observe.TCP, observetest.Guest, observetest.Site, 80))
	require.NoError(t, err)
	require.ErrorIs(t, n.Guest.Dial(t, "tcp", observetest.Site, 80, time.Second), unix.ECONNREFUSED)
	require.Eventually(t, func() bool { return len(seen.Report().Answers) == 1 }, 5*time.Second, 5*time.Millisecond)
	for _, each := range []*answer.Watcher{seen, w} {
		_, err = each.Stop()
		require.NoError(t, err)
	}
	require.Empty(t, w.Report().Answers)
}

func TestNeedsTheCapability(t *testing.T) {
	t.Parallel()
	if !nettest.Isolated(t, unix.CAP_NET_RAW) {
		return
	}
	_, err := answer.Start(t.Context(), observe.To(observe.TCP, observetest.Guest, observetest.Site, 80))
	var u *observe.Unavailable
	require.ErrorAs(t, err, &u)
	require.Contains(t, u.Why, "CAP_NET_RAW")
	require.ErrorIs(t, err, unix.EPERM)
}

func TestInvalidFlows(t *testing.T) {
	t.Parallel()
	_, err := answer.Start(t.Context())
	require.ErrorContains(t, err, "name a flow")
	_, err = answer.Start(t.Context(), observe.Flow{Input: "br0"})
	require.ErrorContains(t, err, "name a destination")
	_, err = answer.Start(t.Context(), observe.Flow{})
	require.ErrorContains(t, err, "names no source")
}
