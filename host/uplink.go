package host

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"

	"github.com/miekg/dns"
	"github.com/vishvananda/netlink"

	"github.com/nestlab/nestlab/scenario/realize"
)

// resolvedConf has the resolvers that systemd-resolved asks itself, where
// /etc/resolv.conf names only its own address (systemd-resolved.service(8)).
const resolvedConf = "/run/systemd/resolve/resolv.conf"

// uplink is what the machine itself says of its network, with the resolver from the
// first of the files that names one.
func (r *Run) uplink(resolvConfs ...string) (realize.Uplink, error) {
	var u realize.Uplink
	for _, text := range r.Request.Free {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return u, fmt.Errorf("--free-address %s: %w", text, err)
		}
		u.Free = append(u.Free, p)
	}
	routes, err := netlink.RouteListFiltered(netlink.FAMILY_V4, &netlink.Route{Dst: nil}, netlink.RT_FILTER_DST)
	if err != nil {
		return u, fmt.Errorf("list the default routes: %w", err)
	}
	if len(routes) > 0 {
		link, err := netlink.LinkByIndex(routes[0].LinkIndex)
		if err != nil {
			return u, fmt.Errorf("find the interface of the default route: %w", err)
		}
		u.Interface = link.Attrs().Name
		u.Gateway, _ = netip.AddrFromSlice(routes[0].Gw.To4()) // none on a point-to-point link
	}
	u.Resolver, err = resolver(resolvConfs...)
	return u, err
}

// resolver is the machine's first resolver that guests can ask by IPv4; none is
// no error. Only the first file has to be there.
func resolver(resolvConfs ...string) (netip.Addr, error) {
	for n, path := range resolvConfs {
		conf, err := dns.ClientConfigFromFile(path)
		if n > 0 && errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return netip.Addr{}, fmt.Errorf("read the machine's resolvers: %w", err)
		}
		for _, s := range conf.Servers {
			if a, err := netip.ParseAddr(s); err == nil && a.Is4() && !a.IsLoopback() {
				return a, nil
			}
		}
	}
	return netip.Addr{}, nil
}
