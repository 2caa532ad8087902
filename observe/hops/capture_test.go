package hops_test

import (
	"context"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/observe/hops"
	"github.com/nestlab/nestlab/testbed/nettest"
)

// dial makes a connection to the peer; whether it succeeds is not the point.
func dial(t *testing.T, network, address string) {
	t.Helper()
	conn, err := net.DialTimeout(network, address, time.Second)
	if err != nil {
		return
	}
	_, err = conn.Write(make([]byte, 10000))
	require.NoError(t, err)
	require.NoError(t, conn.Close())
}

func TestCaptureCounts(t *testing.T) {
	t.Parallel()
	if !nettest.Isolated(t) {
		return
	}
	peer := nettest.Wire(t)
	l := peer.Listen(t, nettest.FarIP+":80")
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			defer conn.Close()
		}
	}()
	require.NoError(t, netlink.RouteAdd(&netlink.Route{Gw: net.ParseIP(nettest.FarIP)}))
	c, err := hops.Start(t.Context())
	require.NoError(t, err)
	dial(t, "tcp", nettest.FarIP+":80")
	dial(t, "tcp", nettest.FarIP+":81") // refused
	conn, err := net.Dial("udp", nettest.FarIP+":53")
	require.NoError(t, err)
	_, err = conn.Write([]byte("?"))
	require.NoError(t, err)

	near, far := netip.MustParseAddr(nettest.NearIP), netip.MustParseAddr(nettest.FarIP)
	got, err := c.Stop([]netip.Addr{near}, []netip.Addr{far})
	require.NoError(t, err)
	require.Len(t, got, 1)
	require.Equal(t, nettest.Near, got[0].Interface)
	require.Equal(t, model.RoleUplink, got[0].Role)
	require.Equal(t, model.Flow{}, got[0].Place, "the runner's own address is the runner's")
	flow := got[0].Runner
	require.EqualValues(t, 2, flow.SYN)
	require.EqualValues(t, 1, flow.SYNACK)
	require.EqualValues(t, 1, flow.DNSQueries)
	require.LessOrEqual(t, flow.Out, uint64(4), "data is not counted")

	c, err = hops.Start(t.Context())
	require.NoError(t, err)
	dial(t, "tcp", nettest.FarIP+":80")
	got, err = c.Stop([]netip.Addr{far}, nil)
	require.NoError(t, err)
	require.Zero(t, got[0].Runner.SYN, "the peer is no target now")
	require.EqualValues(t, 1, got[0].Place.Out, "what comes from the place")
	require.EqualValues(t, 1, got[0].Place.Back)
}

func TestCaptureEndsWithItsContext(t *testing.T) {
	t.Parallel()
	if !nettest.Isolated(t) {
		return
	}
	nettest.Wire(t)
	ctx, cancel := context.WithCancel(t.Context())
	c, err := hops.Start(ctx)
	require.NoError(t, err)
	cancel()
	got, err := c.Stop(nil, nil)
	require.NoError(t, err)
	require.Len(t, got, 1)
}

func TestCaptureNeedsTheCapability(t *testing.T) {
	t.Parallel()
	if !nettest.Isolated(t, unix.CAP_NET_RAW) {
		return
	}
	nettest.Wire(t)
	c, err := hops.Start(t.Context())
	require.Nil(t, c)
	require.ErrorIs(t, err, unix.EPERM)
	require.ErrorContains(t, err, "watch the packets on near0")
}

func TestCaptureOfNothing(t *testing.T) {
	t.Parallel()
	if !nettest.Isolated(t) {
		return
	}
	c, err := hops.Start(t.Context())
	require.NoError(t, err)
	require.Nil(t, c)
}
