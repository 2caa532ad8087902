package follow

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// diverted are the bridges whose forwarding table sends frames for their own MAC address to a
// port, and not to this host, with that port.
func diverted() (map[string]string, error) {
	links, err := netlink.LinkList()
	if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) {
		return nil, fmt.Errorf("list the interfaces: %w", err)
	}
	byIndex := map[int]*netlink.LinkAttrs{}
	for _, l := range links {
		byIndex[l.Attrs().Index] = l.Attrs()
	}
	entries, err := netlink.NeighList(0, unix.AF_BRIDGE)
	if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) {
		return nil, fmt.Errorf("list the forwarding tables of bridges: %w", err)
	}
	all := map[string]string{}
	for _, e := range entries {
		bridge, port := byIndex[e.MasterIndex], byIndex[e.LinkIndex]
		// Entries of the bridge's own addresses are permanent.
		if bridge == nil || port == nil || e.LinkIndex == e.MasterIndex || e.State&unix.NUD_PERMANENT != 0 || !bytes.Equal(e.HardwareAddr, bridge.HardwareAddr) {
			continue
		}
		all[bridge.Name] = port.Name
	}
	return all, nil
}
