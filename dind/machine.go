package dind

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os/exec"
	"regexp"
	"slices"
	"strconv"

	"github.com/miekg/dns"
	"github.com/vishvananda/netlink"

	"github.com/nestlab/nestlab/spec"
)

// inspect looks at the machine for Configure. The driver is the given one, or chosen by
// trying.
func inspect(ctx context.Context, root string, d spec.Docker) (m Machine, err error) {
	link, err := uplink()
	if err != nil {
		return m, err
	}
	if link != nil {
		m.Uplink, m.MTU = link.Name, link.MTU
	}
	if mtu, _ := chooseMTU(d.MTU, m); mtu != ethernetMTU { // dockerd takes 0.1 s to say it
		if m.Docker, err = dockerVersion(ctx); err != nil {
			return m, err
		}
	}
	if m.Networks, err = networks("/etc/resolv.conf"); err != nil {
		return m, err
	}
	m.Driver, m.DriverWhy, err = chooseDriver(root, d.StorageDriver)
	return m, err
}

var versionLine = regexp.MustCompile(`^Docker version (\d+)\.`)

// dockerVersion is the major version of dockerd.
func dockerVersion(ctx context.Context) (int, error) {
	out, err := exec.CommandContext(ctx, "dockerd", "--version").Output()
	if err != nil {
		return 0, fmt.Errorf("ask dockerd for its version (is Docker installed? nestlab dind install does that): %w", err)
	}
	found := versionLine.FindSubmatch(out)
	if found == nil {
		return 0, fmt.Errorf("ask dockerd for its version: %.80q has none", out)
	}
	return strconv.Atoi(string(found[1]))
}

// networks lists what addresses in use are in: of interfaces, of routes but the default one,
// and of the resolvers of a resolv.conf.
func networks(resolvers string) (found []netip.Prefix, err error) {
	routes, err := netlink.RouteList(nil, netlink.FAMILY_V4)
	if err != nil {
		return nil, fmt.Errorf("list the routes: %w", err)
	}
	for _, r := range routes {
		if r.Dst == nil {
			continue
		}
		base, ok := netip.AddrFromSlice(r.Dst.IP.To4())
		bits, _ := r.Dst.Mask.Size()
		if ok && bits > 0 {
			found = append(found, netip.PrefixFrom(base, bits))
		}
	}
	conf, err := dns.ClientConfigFromFile(resolvers)
	if errors.Is(err, fs.ErrNotExist) {
		conf, err = &dns.ClientConfig{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the resolvers of %s: %w", resolvers, err)
	}
	for _, server := range conf.Servers {
		addr, err := netip.ParseAddr(server)
		if err == nil && addr.Is4() && !addr.IsLoopback() {
			found = append(found, netip.PrefixFrom(addr, 32))
		}
	}
	slices.SortFunc(found, func(a, b netip.Prefix) int { return a.Addr().Compare(b.Addr()) })
	return slices.Compact(found), nil
}
