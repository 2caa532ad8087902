package vm_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/vishvananda/netlink"

	"github.com/nestlab/nestlab/testbed/await"
	"github.com/nestlab/nestlab/testbed/nettest"
	"github.com/nestlab/nestlab/vm"
)

// An IPv6 address is none until it was found to be unique, and leads nowhere without
// a route.
func TestLookAtIPv6(t *testing.T) {
	if !nettest.Isolated(t) {
		return
	}
	look := func() vm.Sight {
		s, err := vm.Look(t.Context(), filepath.Join(t.TempDir(), "none"), 0)
		require.NoError(t, err)
		return s
	}
	require.True(t, look().NoIPv6, "there is no network card")
	pair := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "eth0"}, PeerName: "peer0"}
	require.NoError(t, netlink.LinkAdd(pair))
	peer, err := netlink.LinkByName("peer0")
	require.NoError(t, err)
	require.NoError(t, netlink.LinkSetUp(peer))
	require.NoError(t, netlink.LinkSetUp(pair))
	address, err := netlink.ParseAddr("2001:db8::2/64")
	require.NoError(t, err)
	require.NoError(t, netlink.AddrAdd(pair, address))
	first := look()
	require.False(t, first.NoIPv6)
	require.Empty(t, first.IPv6, "it was not found to be unique yet")
	require.Error(t, vm.HasIPv6(first))
	await.True(t, func() bool { return len(look().IPv6) > 0 })
	require.ErrorContains(t, vm.HasIPv6(look()), "route")
	gateway, err := netlink.ParseIPNet("2001:db8::1/64")
	require.NoError(t, err)
	require.NoError(t, netlink.RouteAdd(&netlink.Route{LinkIndex: pair.Attrs().Index, Gw: gateway.IP}))
	require.Equal(t, "2001:db8::1", look().Gateway6)
	require.NoError(t, vm.HasIPv6(look()))
	require.NoError(t, os.WriteFile("/proc/sys/net/ipv6/conf/eth0/disable_ipv6", []byte("1"), 0o644))
	require.NoError(t, os.WriteFile("/proc/sys/net/ipv6/conf/peer0/disable_ipv6", []byte("1"), 0o644))
	require.NoError(t, vm.HasIPv6(look()), "it is off")
}

// Of a bridge's address its guests' are expected.
func TestBridgeWithIPv6(t *testing.T) {
	if !nettest.Isolated(t) {
		return
	}
	bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "br0"}}
	require.NoError(t, netlink.LinkAdd(bridge))
	require.NoError(t, netlink.LinkSetUp(bridge))
	on, err := vm.IPv6On("br0")
	require.NoError(t, err)
	require.False(t, on)
	nettest.Address(t, nil, "br0", "fd42:77::1/64")
	on, err = vm.IPv6On("br0")
	require.NoError(t, err)
	require.True(t, on)
	_, err = vm.IPv6On("br1")
	require.ErrorContains(t, err, "br1")
}
