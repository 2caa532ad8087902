package dind

import (
	"fmt"

	"github.com/vishvananda/netlink"
)

// ethernetMTU is what dockerd gives its bridges unless told otherwise.
const ethernetMTU = 1500

// Settings are the daemon's settings that fit this machine: overlay2, and an MTU
// no larger than the uplink's, or large packets of its containers would vanish.
// Mirrors are URLs that stand in for Docker Hub; none asks it directly.
func Settings(mirrors ...string) (map[string]any, error) {
	settings := map[string]any{"storage-driver": "overlay2"}
	if len(mirrors) > 0 {
		settings["registry-mirrors"] = mirrors
	}
	link, err := uplink()
	if err != nil {
		return nil, err
	}
	if link != nil && link.MTU < ethernetMTU {
		settings["mtu"] = link.MTU
	}
	return settings, nil
}

// uplink is the interface of the default route; nil without one.
func uplink() (*netlink.LinkAttrs, error) {
	routes, err := netlink.RouteListFiltered(netlink.FAMILY_V4, &netlink.Route{Dst: nil}, netlink.RT_FILTER_DST)
	if err != nil {
		return nil, fmt.Errorf("list the default routes: %w", err)
	}
	for _, r := range routes {
		if r.Gw == nil {
			continue
		}
		link, err := netlink.LinkByIndex(r.LinkIndex)
		if err != nil {
			return nil, fmt.Errorf("find the interface of the default route: %w", err)
		}
		return link.Attrs(), nil
	}
	return nil, nil
}
