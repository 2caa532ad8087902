package probe_test

import (
	"testing"

	"github.com/google/nftables"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/observe/probe"
	"github.com/nestlab/nestlab/spec/targets"
	"github.com/nestlab/nestlab/testbed/nettest"
)

func ping(t *testing.T, host string, change func(*probe.Options)) model.Result {
	t.Helper()
	return one(t, observe(t, &targets.Set{ICMP: []string{host}}, change, model.SuiteNetwork), model.ProbeICMP)
}

func TestICMP(t *testing.T) {
	t.Parallel()
	if !nettest.Isolated(t) {
		return
	}
	peer := nettest.Wire(t)
	nettest.Address(t, nil, nettest.Near, "2001:db8::1/64")
	nettest.Address(t, peer, nettest.Far, "2001:db8::2/64")
	nettest.Settle(t, "2001:db8::2")
	for _, host := range []string{nettest.FarIP, "2001:db8::2", "127.0.0.1", "::1"} {
		r := ping(t, host, nil)
		want(t, r, "")
		require.Equal(t, "3", r.Detail.Values["received"], show(t, r))
		require.Equal(t, "raw", r.Detail.Values["socket"])
		require.Contains(t, r.Detail.Values, "rtt_ms")
	}
	want(t, ping(t, "203.0.113.1", nil), model.Unreachable)

	icmp := nettest.Protocol(unix.IPPROTO_ICMP)
	undo := nettest.Filter(t, peer, nftables.ChainHookInput, append(icmp, nettest.Drop())...)
	r := ping(t, nettest.FarIP, nil)
	want(t, r, model.NoReply)
	require.Equal(t, "3", r.Detail.Values["sent"])
	require.Equal(t, "0", r.Detail.Values["received"])
	undo()

	undo = nettest.Filter(t, nil, nftables.ChainHookOutput, append(icmp, nettest.Drop())...)
	want(t, ping(t, nettest.FarIP, nil), model.Permission)
	undo()
	want(t, ping(t, nettest.FarIP, nil), "")
}

// Without CAP_NET_RAW the kernel's ping sockets do, where they are allowed.
func TestICMPWithoutRawSockets(t *testing.T) {
	t.Parallel()
	if !nettest.Isolated(t, unix.CAP_NET_RAW) {
		return
	}
	nettest.PingSockets(t, false)
	want(t, ping(t, "127.0.0.1", nil), model.Permission)
	nettest.PingSockets(t, true)
	r := ping(t, "127.0.0.1", nil)
	want(t, r, "")
	require.Equal(t, "ping", r.Detail.Values["socket"])
	require.Equal(t, "3", r.Detail.Values["received"])
}

func TestICMPExpectedToFail(t *testing.T) {
	t.Parallel()
	if !nettest.Isolated(t) {
		return
	}
	expect := func(o *probe.Options) {
		o.Platform = "azure"
		o.Targets.Expect = []targets.Expectation{{Probe: model.ProbeICMP, Platforms: []string{"azure"}, Why: "filtered"}}
	}
	r := ping(t, "203.0.113.1", expect)
	require.Equal(t, model.XFail, r.Outcome)
	require.Equal(t, model.Unreachable, r.Reason)
	require.Contains(t, r.Detail.Message, "filtered")
	require.Equal(t, model.XPass, ping(t, "127.0.0.1", expect).Outcome)
	elsewhere := func(o *probe.Options) { expect(o); o.Platform = "unknown" }
	require.Equal(t, model.Fail, ping(t, "203.0.113.1", elsewhere).Outcome)
}
