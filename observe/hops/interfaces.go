package hops

import (
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"

	"github.com/nestlab/nestlab/model"
)

// maxInterfaces bounds how many interfaces are watched at once.
const maxInterfaces = 16

// watched is an interface that is worth watching.
type watched struct {
	net       *net.Interface
	role      string
	addresses []netip.Addr
}

// interfaces lists the uplinks, the bridges and then whatever else is up and
// has an address, in that order. The ports of bridges are left out: what they
// bring is seen on the bridge.
func interfaces() ([]watched, error) {
	links, err := netlink.LinkList()
	if err != nil {
		return nil, fmt.Errorf("list the runner's interfaces: %w", err)
	}
	uplinks, err := uplinks()
	if err != nil {
		return nil, err
	}
	var all []watched
	for _, l := range links {
		a := l.Attrs()
		if a.Flags&net.FlagUp == 0 || a.Flags&net.FlagLoopback != 0 || a.MasterIndex != 0 {
			continue
		}
		w := watched{role: model.RoleOther, net: &net.Interface{Index: a.Index, Name: a.Name, MTU: a.MTU, Flags: a.Flags, HardwareAddr: a.HardwareAddr}}
		switch {
		case slices.Contains(uplinks, a.Index):
			w.role = model.RoleUplink
		case l.Type() == "bridge":
			w.role = model.RoleBridge
		}
		if w.addresses, err = addresses(l); err != nil {
			return nil, err
		}
		if w.role != model.RoleOther || len(w.addresses) > 0 {
			all = append(all, w)
		}
	}
	order := []string{model.RoleUplink, model.RoleBridge, model.RoleOther}
	slices.SortStableFunc(all, func(a, b watched) int { return slices.Index(order, a.role) - slices.Index(order, b.role) })
	return all[:min(len(all), maxInterfaces)], nil
}

// uplinks are the interfaces that IPv4 default routes leave by.
func uplinks() ([]int, error) {
	routes, err := netlink.RouteList(nil, netlink.FAMILY_V4)
	if err != nil {
		return nil, fmt.Errorf("list the runner's routes: %w", err)
	}
	var found []int
	for _, r := range routes {
		ones := 0
		if r.Dst != nil {
			ones, _ = r.Dst.Mask.Size()
		}
		if ones == 0 {
			found = append(found, r.LinkIndex)
		}
	}
	return found, nil
}

func addresses(l netlink.Link) ([]netip.Addr, error) {
	list, err := netlink.AddrList(l, netlink.FAMILY_V4)
	if err != nil {
		return nil, fmt.Errorf("list the addresses of %s: %w", l.Attrs().Name, err)
	}
	var all []netip.Addr
	for _, a := range list {
		if addr, ok := netip.AddrFromSlice(a.IP.To4()); ok {
			all = append(all, addr)
		}
	}
	return all, nil
}
