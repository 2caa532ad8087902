package vm

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/vishvananda/netlink"

	"github.com/nestlab/nestlab/testbed/nettest"
)

func addBridge(t *testing.T, name string) netlink.Link {
	t.Helper()
	bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: name, MTU: 1400}}
	require.NoError(t, netlink.LinkAdd(bridge))
	link, err := netlink.LinkByName(name)
	require.NoError(t, err)
	return link
}

// The tap is there as long as somebody has it open, and not longer.
func TestTap(t *testing.T) {
	if !nettest.Isolated(t) {
		return
	}
	bridge := addBridge(t, "br0")
	p, err := newTap("nl-guest", "br0")
	require.NoError(t, err)
	link, err := netlink.LinkByName("nl-guest")
	require.NoError(t, err)
	require.Equal(t, bridge.Attrs().Index, link.Attrs().MasterIndex)
	require.Equal(t, bridge.Attrs().MTU, link.Attrs().MTU)
	require.NoError(t, p.close())
	_, err = netlink.LinkByName("nl-guest")
	require.ErrorAs(t, err, new(netlink.LinkNotFoundError))
}

// What a killed run left is removed; what is in use or somebody else's is not.
func TestTapLeft(t *testing.T) {
	if !nettest.Isolated(t) {
		return
	}
	addBridge(t, "br0")
	left := &netlink.Tuntap{LinkAttrs: netlink.LinkAttrs{Name: "nl-left"}, Mode: netlink.TUNTAP_MODE_TAP}
	require.NoError(t, netlink.LinkAdd(left))
	for _, f := range left.Fds {
		require.NoError(t, f.Close())
	}
	p, err := newTap("nl-left", "br0")
	require.NoError(t, err)
	_, err = newTap("nl-left", "br0")
	require.ErrorContains(t, err, "is in use")
	require.NoError(t, p.close())

	addBridge(t, "nl-other")
	_, err = newTap("nl-other", "br0")
	require.ErrorContains(t, err, "is not nestlab's")
}

func TestTapWrong(t *testing.T) {
	if !nettest.Isolated(t) {
		return
	}
	before := descriptors(t)
	_, err := newTap("nl-guest", "br9")
	require.ErrorContains(t, err, "find the bridge br9")
	_, err = newTap("nl-guest", "lo")
	require.ErrorContains(t, err, "no bridge")
	_, err = newTap("tap0", "lo")
	require.ErrorContains(t, err, "does not begin with nl-")
	_, err = netlink.LinkByName("nl-guest")
	require.Error(t, err)
	require.Equal(t, before, descriptors(t))
}

// descriptors is how many files this process has open.
func descriptors(t *testing.T) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	return len(all)
}
