package vm

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"

	"github.com/canonical/lxd/shared/api"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// A guest on a bridge with IPv6 has an address of its own a second or two later than
// its IPv4 lease: until then names lead it elsewhere than after that.

// sight6 looks for IPv6: addresses in use, and a way out.
func (s *Sight) sight6() error {
	all, err := netlink.AddrList(nil, netlink.FAMILY_V6)
	if err != nil {
		return fmt.Errorf("list the IPv6 addresses: %w", err)
	}
	for _, a := range all {
		if a.IP.IsGlobalUnicast() && a.Flags&unix.IFA_F_TENTATIVE == 0 {
			s.IPv6 = append(s.IPv6, a.IPNet.String())
		}
	}
	routes, err := netlink.RouteList(nil, netlink.FAMILY_V6)
	if err != nil {
		return fmt.Errorf("list the IPv6 routes: %w", err)
	}
	for _, r := range routes {
		if (r.Dst == nil || r.Dst.IP.IsUnspecified()) && r.Gw != nil {
			s.Gateway6 = r.Gw.String()
		}
	}
	links, err := netlink.LinkList()
	if err != nil {
		return fmt.Errorf("list the network cards: %w", err)
	}
	s.NoIPv6 = true
	for _, l := range links {
		off, err := os.ReadFile("/proc/sys/net/ipv6/conf/" + l.Attrs().Name + "/disable_ipv6")
		// Without the file this kernel has no IPv6.
		if l.Attrs().Flags&net.FlagLoopback == 0 && err == nil && string(bytes.TrimSpace(off)) == "0" {
			s.NoIPv6 = false
		}
	}
	return nil
}

func hasIPv6(s Sight) error {
	switch {
	case s.NoIPv6:
		return nil // that is how it is meant to be
	case len(s.IPv6) == 0:
		return errors.New("it has no IPv6 address in use")
	case s.Gateway6 == "":
		return errors.New("it has no IPv6 default route")
	}
	return nil
}

// ipv6On reports whether a bridge of this machine has an IPv6 address for guests.
func ipv6On(bridge string) (bool, error) {
	link, err := netlink.LinkByName(bridge)
	if err != nil {
		return false, fmt.Errorf("find the bridge %s: %w", bridge, err)
	}
	all, err := netlink.AddrList(link, netlink.FAMILY_V6)
	if err != nil {
		return false, fmt.Errorf("list the IPv6 addresses of %s: %w", bridge, err)
	}
	for _, a := range all {
		if a.IP.IsGlobalUnicast() {
			return true, nil
		}
	}
	return false, nil
}

// ipv6In reports the same of a bridge as LXD sees it, wherever LXD runs.
func ipv6In(state *api.NetworkState) bool {
	for _, a := range state.Addresses {
		if ip := net.ParseIP(a.Address); a.Family == "inet6" && ip.IsGlobalUnicast() {
			return true
		}
	}
	return false
}
