package probe_test

import (
	"net"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/google/nftables"
	"github.com/stretchr/testify/require"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/observe/probe"
	"github.com/nestlab/nestlab/spec/targets"
	"github.com/nestlab/nestlab/testbed/nettest"
)

const farPort = nettest.FarIP + ":8080"

func tcpTo(t *testing.T, hostport string, change func(*probe.Options)) model.Result {
	t.Helper()
	return one(t, observe(t, &targets.Set{TCP: []string{hostport}}, change, model.SuiteNetwork), model.ProbeTCP)
}

// dials are the addresses with their reasons.
func dials(r model.Result) []string {
	var out []string
	for _, d := range r.Detail.Dials {
		out = append(out, d.Address+"="+string(d.Reason))
	}
	return out
}

func TestTCPOnAWire(t *testing.T) {
	t.Parallel()
	if !nettest.Isolated(t) {
		return
	}
	peer := nettest.Wire(t)
	want(t, tcpTo(t, farPort, nil), model.Refused)
	peer.Listen(t, farPort)
	passed := tcpTo(t, farPort, nil)
	want(t, passed, "")
	require.Equal(t, []string{farPort + "="}, dials(passed))

	tcp := nettest.Protocol(unix.IPPROTO_TCP)
	undo := nettest.Filter(t, peer, nftables.ChainHookInput, append(tcp, nettest.Drop())...)
	dropped := tcpTo(t, farPort, nil)
	want(t, dropped, model.ConnectTimeout)
	require.Equal(t, model.ConnectTimeout, dropped.Detail.Dials[0].Reason)
	require.GreaterOrEqual(t, dropped.Detail.Dials[0].DurationMS, int64(400))
	undo()

	want(t, tcpTo(t, farPort, nil), "")
	nettest.Prohibit(t, "198.51.100.0/24")
	want(t, tcpTo(t, "198.51.100.1:80", nil), model.Permission)
	want(t, tcpTo(t, "203.0.113.1:80", nil), model.Unreachable)
	want(t, tcpTo(t, "192.0.2.77:80", func(o *probe.Options) {
		o.Targets.Deadlines[targets.DeadlineConnect] = targets.Duration(5e9)
		o.Targets.Deadlines[model.ProbeTCP] = targets.Duration(8e9)
	}), model.Unreachable)
}

// No route for IPv6 and a silent drop on IPv4 must both be seen: it is the
// symptom that nestlab exists for.
func TestTCPShowsEveryAddress(t *testing.T) {
	t.Parallel()
	if !nettest.Isolated(t) {
		return
	}
	peer := nettest.Wire(t)
	peer.Listen(t, farPort)
	nameServer(t, "127.0.0.53", zone(t))
	conf := resolvConf(t, "127.0.0.53")

	passed := tcpTo(t, "both.test:8080", conf)
	want(t, passed, "")
	require.Equal(t, []string{"[2001:db8::2]:8080=unreachable", farPort + "="}, dials(passed))

	nettest.Filter(t, peer, nftables.ChainHookInput, append(nettest.Protocol(unix.IPPROTO_TCP), nettest.Drop())...)
	failed := tcpTo(t, "both.test:8080", conf)
	want(t, failed, model.ConnectTimeout)
	require.Equal(t, []string{"[2001:db8::2]:8080=unreachable", farPort + "=connect-timeout"}, dials(failed))
}

// A family that is dead shows, though the other one answers.
func TestTCPShowsADeadFamily(t *testing.T) {
	t.Parallel()
	if !nettest.Isolated(t) {
		return
	}
	peer := nettest.Wire(t)
	nettest.Address(t, nil, nettest.Near, "2001:db8::1/64")
	nettest.Address(t, peer, nettest.Far, "2001:db8::2/64")
	nettest.Settle(t, "2001:db8::2")
	peer.Listen(t, net.JoinHostPort("2001:db8::2", "8080"))
	nettest.Filter(t, peer, nftables.ChainHookInput, append(nettest.IPv4(), nettest.Drop())...)
	nameServer(t, "127.0.0.53", zone(t))
	conf := resolvConf(t, "127.0.0.53")
	r := tcpTo(t, "both.test:8080", conf)
	want(t, r, model.ConnectTimeout)
	require.Contains(t, r.Detail.Message, "no IPv4 address answered")
	require.Equal(t, []string{"[2001:db8::2]:8080=", farPort + "=connect-timeout"}, dials(r))
	// Without a way there IPv4 is no loss.
	link, err := netlink.LinkByName(nettest.Near)
	require.NoError(t, err)
	all, err := netlink.AddrList(link, netlink.FAMILY_V4)
	require.NoError(t, err)
	require.NoError(t, netlink.AddrDel(link, &all[0]))
	want(t, tcpTo(t, "both.test:8080", conf), "")
}

// A request does not wait for an address that swallows everything.
func TestHTTPTakesTheFirstAddressThatAnswers(t *testing.T) {
	t.Parallel()
	if !nettest.Isolated(t) {
		return
	}
	peer := nettest.Wire(t)
	nettest.Address(t, nil, nettest.Near, "2001:db8::1/64")
	nettest.Address(t, peer, nettest.Far, "2001:db8::2/64")
	nettest.Settle(t, "2001:db8::2")
	server := &http.Server{Handler: blobs(t), ReadHeaderTimeout: time.Minute}
	listener := peer.Listen(t, farPort)
	go func() { t.Log(server.Serve(listener)) }()
	t.Cleanup(func() { require.NoError(t, server.Close()) })
	nettest.Filter(t, peer, nftables.ChainHookInput, append(nettest.IPv6(), nettest.Drop())...)
	nameServer(t, "127.0.0.53", zone(t))
	conf := resolvConf(t, "127.0.0.53")
	results := observe(t, &targets.Set{HTTP: []string{"http://both.test:8080/blob/1"}}, func(o *probe.Options) {
		conf(o)
		o.Targets.Deadlines[targets.DeadlineConnect] = targets.Duration(30 * time.Second)
		o.Targets.Deadlines[model.ProbeHTTP] = targets.Duration(time.Minute)
	}, model.SuiteNetwork)
	want(t, results[0], "")
	require.Equal(t, []string{farPort + "="}, dials(results[0]))
	require.Less(t, results[0].DurationMS, int64(30000), "it waited for the other one")
	require.GreaterOrEqual(t, results[0].DurationMS, int64(250), "IPv6 has a head start")
}

// What drops pages of IPv4 alone shows, though IPv6 answers first.
func TestPagesAreAskedForByIPv4Too(t *testing.T) {
	t.Parallel()
	if !nettest.Isolated(t) {
		return
	}
	peer := nettest.Wire(t)
	nettest.Address(t, nil, nettest.Near, "2001:db8::1/64")
	nettest.Address(t, peer, nettest.Far, "2001:db8::2/64")
	nettest.Settle(t, "2001:db8::2")
	six := net.JoinHostPort("2001:db8::2", "8080")
	server := &http.Server{Handler: blobs(t), ReadHeaderTimeout: time.Minute}
	for _, at := range []string{farPort, six} {
		listener := peer.Listen(t, at)
		go func() { t.Log(server.Serve(listener)) }()
	}
	t.Cleanup(func() { require.NoError(t, server.Close()) })
	nameServer(t, "127.0.0.53", zone(t))
	ask := func() []model.Result {
		const page = "http://both.test:8080/blob/1"
		return observe(t, &targets.Set{TCP: []string{"both.test:8080"}, HTTP: []string{page}, PathMTU: []targets.PathMTU{{URL: page}}}, resolvConf(t, "127.0.0.53"), model.SuiteNetwork)
	}
	for _, probe := range []string{model.ProbeHTTP, model.ProbePathMTU} {
		r := one(t, ask(), probe)
		want(t, r, "")
		require.Equal(t, "2001:db8::2 "+nettest.FarIP, r.Detail.Values["by"])
		require.Contains(t, dials(r), farPort+"=")
	}
	undo := nettest.Filter(t, peer, nftables.ChainHookInput, append(slices.Concat(nettest.IPv4(), nettest.LongerThan(80)), nettest.Drop())...)
	results := ask()
	want(t, one(t, results, model.ProbeTCP), "")
	for _, probe := range []string{model.ProbeHTTP, model.ProbePathMTU} {
		r := one(t, results, probe)
		want(t, r, model.ReadTimeout)
		require.Contains(t, r.Detail.Message, "by IPv4 alone, as 2001:db8::2 answers")
		require.Subset(t, dials(r), []string{six + "=", farPort + "="})
	}
	// Without a way there IPv4 is not asked for.
	link, err := netlink.LinkByName(nettest.Near)
	require.NoError(t, err)
	all, err := netlink.AddrList(link, netlink.FAMILY_V4)
	require.NoError(t, err)
	require.NoError(t, netlink.AddrDel(link, &all[0]))
	want(t, one(t, ask(), model.ProbeHTTP), "")
	undo()
}
