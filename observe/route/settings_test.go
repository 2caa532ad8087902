package route_test

import (
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/vishvananda/netlink"

	"github.com/nestlab/nestlab/observe/observetest"
	"github.com/nestlab/nestlab/observe/route"
	"github.com/nestlab/nestlab/testbed/nettest"
)

func TestSettings(t *testing.T) {
	t.Parallel()
	if !nettest.Isolated(t) {
		return
	}
	n := observetest.New(t)
	for path, value := range map[string]string{
		"net/ipv4/conf/br0/forwarding": "0", "net/ipv4/conf/all/rp_filter": "1", "net/ipv4/conf/br0/rp_filter": "2",
		"net/ipv4/conf/up0/accept_local": "1", "net/ipv4/conf/all/proxy_arp": "1", "net/ipv4/conf/all/arp_ignore": "1", "net/ipv4/conf/br0/arp_ignore": "8", "net/ipv6/conf/port0/disable_ipv6": "1",
	} {
		n.Router.Set(t, path, value)
	}
	require.NoError(t, n.Router.LinkSetMTU(n.Router.Link(t, observetest.Uplink), 1400))
	s, err := route.Read()
	require.NoError(t, err)
	require.True(t, s.Forwarding4)
	require.True(t, s.Forwarding6)
	all := map[string]route.Interface{}
	for _, i := range s.Interfaces {
		all[i.Name] = i
	}
	require.Len(t, all, 4)
	br, up, port := all[observetest.Bridge], all[observetest.Uplink], all[observetest.Port]
	require.Equal(t, "bridge", br.Kind)
	require.True(t, br.Up)
	require.Equal(t, "up", br.State)
	require.Contains(t, br.Addresses, netip.PrefixFrom(observetest.Gateway, 24))
	require.Contains(t, br.Addresses, netip.PrefixFrom(observetest.Gateway6, 64))
	require.False(t, br.Forwarding4)
	require.True(t, br.Forwarding6)
	require.True(t, br.IPv6)
	require.Equal(t, 2, br.RPFilter, "the higher one")
	require.True(t, up.Forwarding4)
	require.Equal(t, 1, up.RPFilter, "that of all")
	require.Equal(t, 8, br.ARPIgnore, "the higher one")
	require.Equal(t, 1, up.ARPIgnore, "that of all")
	require.True(t, up.AcceptLocal)
	require.False(t, br.AcceptLocal)
	require.True(t, up.ProxyARP)
	require.Equal(t, 1400, up.MTU)
	require.Equal(t, observetest.Bridge, port.Master)
	require.False(t, port.IPv6)
	require.NoError(t, n.Router.LinkSetDown(n.Router.Link(t, observetest.Uplink)))
	n.Router.Set(t, "net/ipv6/conf/all/forwarding", "0")
	s, err = route.Read()
	require.NoError(t, err)
	require.False(t, s.Forwarding6)
	for _, i := range s.Interfaces {
		require.Equal(t, i.Name != observetest.Uplink, i.Up, i.Name)
	}
}

func TestBridgeFilters(t *testing.T) {
	t.Parallel()
	if !nettest.Isolated(t) {
		return
	}
	n := observetest.New(t)
	if _, err := os.Stat("/proc/sys/net/bridge"); err != nil {
		s, err := route.Read()
		require.NoError(t, err)
		require.Nil(t, s.BridgeIPTables, "br_netfilter is not loaded")
		return
	}
	n.Router.Set(t, "net/bridge/bridge-nf-call-iptables", "0")
	n.Router.Set(t, "net/bridge/bridge-nf-call-ip6tables", "1")
	s, err := route.Read()
	require.NoError(t, err)
	require.False(t, *s.BridgeIPTables)
	require.True(t, *s.BridgeIP6Tables)
}

func TestNeighbour(t *testing.T) {
	t.Parallel()
	if !nettest.Isolated(t) {
		return
	}
	n := observetest.New(t)
	for _, a := range []netip.Addr{observetest.Guest, observetest.Guest6} {
		got, err := route.FindNeighbour(observetest.Bridge, a)
		require.NoError(t, err)
		require.False(t, got.State.Dead())
		require.Equal(t, n.Guest.Link(t, observetest.NIC).Attrs().HardwareAddr.String(), got.MAC)
	}
	for _, a := range []netip.Addr{netip.MustParseAddr("198.51.100.77"), netip.MustParseAddr("2001:db8:100::77")} {
		got, err := route.FindNeighbour(observetest.Uplink, a)
		require.NoError(t, err)
		require.Equal(t, route.Unknown, got.State)
		require.Error(t, n.Router.Dial(t, "tcp", a, 1, 10*time.Millisecond))
		got, err = route.FindNeighbour(observetest.Uplink, a)
		require.NoError(t, err)
		require.True(t, got.State.Dead(), "%s", got.State)
		require.Empty(t, got.MAC)
	}
	static := &netlink.Neigh{LinkIndex: n.Router.Link(t, observetest.Uplink).Attrs().Index, State: netlink.NUD_PERMANENT, IP: elsewhere.AsSlice(), HardwareAddr: []byte{2, 0, 0, 0, 0, 1}}
	require.NoError(t, n.Router.NeighAdd(static))
	got, err := route.FindNeighbour(observetest.Uplink, elsewhere)
	require.NoError(t, err)
	require.Equal(t, route.Permanent, got.State)
	_, err = route.FindNeighbour("none0", elsewhere)
	require.ErrorContains(t, err, `find interface "none0"`)
}
