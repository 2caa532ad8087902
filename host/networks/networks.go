// Package networks finds the bridges of this host that guests are attached to, and what
// runs them: Docker, LXD, Incus, libvirt, podman, Multipass, CNI plugins, or nobody known.
// It reads the network namespace and the mounts that it is called in, and changes nothing.
package networks

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Kind is what runs a network.
type Kind string

// The kinds.
const (
	Docker    Kind = "Docker"
	LXD       Kind = "LXD"
	Incus     Kind = "Incus"
	Libvirt   Kind = "libvirt"
	Podman    Kind = "podman"
	Multipass Kind = "Multipass"
	CNI       Kind = "CNI"
	Plain     Kind = "" // nobody known
)

// Network is a bridge of this host with what is known of it.
type Network struct {
	Bridge string
	Kind   Kind
	// Name is what its program calls it; empty for a plain bridge.
	Name string
	// Addresses are the host's own on it, with the length of their networks.
	Addresses []netip.Prefix
	// Ports are the interfaces that are attached to it now.
	Ports []string
	MTU   int
	MAC   string
	Up    bool
	// DHCP says that its program gives guests their addresses by DHCP.
	DHCP bool
	// Isolated says that by its own configuration it leads nowhere.
	Isolated bool
	// Uplink says that a default route of the host leads over it.
	Uplink bool
	// Gateway is the IPv4 address that it is to have, by its program or by the network that
	// its guests are of; zero where that is not known.
	Gateway netip.Prefix
	// PortDelay is how long a new port takes no packets (STP).
	PortDelay time.Duration
}

// String names it as its users do: "libvirt network default (virbr0, 2 ports)".
func (n Network) String() string {
	ports := fmt.Sprintf("%d ports", len(n.Ports))
	if len(n.Ports) == 1 {
		ports = "1 port"
	}
	if n.Kind == Plain {
		return fmt.Sprintf("bridge %s (%s)", n.Bridge, ports)
	}
	if n.Name == n.Bridge {
		return fmt.Sprintf("%s network %s (%s)", n.Kind, n.Name, ports)
	}
	return fmt.Sprintf("%s network %s (%s, %s)", n.Kind, n.Name, n.Bridge, ports)
}

// Address is the host's own of a family; false where it has none that others can answer to.
func (n Network) Address(v4 bool) (netip.Prefix, bool) {
	i := slices.IndexFunc(n.Addresses, func(p netip.Prefix) bool { return p.Addr().Is4() == v4 && !p.Addr().IsLinkLocalUnicast() })
	if i < 0 {
		return netip.Prefix{}, false
	}
	return n.Addresses[i], true
}

// Lost is the IPv4 address that the bridge should have, where it has none at all.
func (n Network) Lost() (netip.Prefix, bool) {
	_, has := n.Address(true)
	return n.Gateway, n.Gateway.IsValid() && !has && !n.Uplink
}

// Options say where to look.
type Options struct {
	// Root is where the host's files are; / if empty.
	Root string
	// Docker is the daemon's address; $DOCKER_HOST or its usual socket if empty.
	Docker string
}

// Find lists the bridges by name. Which programs could not be asked is named beside them.
func Find(ctx context.Context, o Options) (all []Network, unasked []error, err error) {
	o.Root = cmp.Or(o.Root, "/")
	if all, err = bridges(); err != nil {
		return nil, nil, err
	}
	known, unasked := o.known(ctx)
	for i := range all {
		n := &all[i]
		if OfDocker(n.Bridge) { // its daemon may be dead
			n.Kind, n.Name = Docker, n.Bridge
		}
		told := false
		for _, k := range known {
			if k.Bridge == n.Bridge {
				n.Kind, n.Name, n.DHCP, n.Isolated, n.Gateway = k.Kind, k.Name, k.DHCP, k.Isolated, k.Gateway
				told = k.Gateway.IsValid() || k.Kind != Podman && k.Kind != Multipass // the others may mean it to have none
				break
			}
		}
		if _, has := n.Address(true); has || told || n.Kind == Plain {
			continue
		}
		guests, err := guestNetwork(n.Bridge)
		if err != nil {
			unasked = append(unasked, err)
		} else if guests.IsValid() {
			n.Gateway = firstOf(guests)
		}
	}
	return all, unasked, nil
}

// firstOf is the address that programs give to the bridge of a network unless they are told
// otherwise.
func firstOf(network netip.Prefix) netip.Prefix {
	return netip.PrefixFrom(network.Masked().Addr().Next(), network.Bits())
}

// gatewayOf is the address of a bridge in a network of IPv4, the first where none is named;
// zero for any other network.
func gatewayOf(network, address string) netip.Prefix {
	n, err := netip.ParsePrefix(network)
	if err != nil || !n.Addr().Is4() {
		return netip.Prefix{}
	}
	if a, err := netip.ParseAddr(address); err == nil && n.Contains(a) {
		return netip.PrefixFrom(a, n.Bits())
	}
	return firstOf(n)
}

// OfDocker reports whether a bridge's name is one of Docker's.
func OfDocker(bridge string) bool { return dockerName.MatchString(bridge) }

// dockerName is how Docker names its bridges.
var dockerName = regexp.MustCompile(`^(docker0|br-[0-9a-f]{12})$`)

// known are the networks that programs tell of, those first that are surer.
func (o Options) known(ctx context.Context) (all []Network, errs []error) {
	for _, read := range []func(context.Context) ([]Network, error){o.docker, o.lxd, o.libvirt, o.podman, o.cni, o.multipass} {
		found, err := read(ctx)
		all = append(all, found...)
		if err != nil {
			errs = append(errs, err)
		}
	}
	return all, errs
}

// bridges are those of the kernel.
func bridges() ([]Network, error) {
	links, err := netlink.LinkList()
	if err != nil {
		return nil, fmt.Errorf("list interfaces: %w", err)
	}
	over, err := uplinks()
	if err != nil {
		return nil, err
	}
	var all []Network
	for _, l := range links {
		a := l.Attrs()
		if l.Type() != "bridge" {
			continue
		}
		n := Network{Bridge: a.Name, MTU: a.MTU, MAC: a.HardwareAddr.String(), Up: a.Flags&unix.IFF_UP != 0, Uplink: slices.Contains(over, a.Index)}
		if n.PortDelay, err = portDelay(a.Index); err != nil {
			return nil, err
		}
		for _, p := range links {
			if p.Attrs().MasterIndex == a.Index {
				n.Ports = append(n.Ports, p.Attrs().Name)
			}
		}
		addresses, err := netlink.AddrList(l, netlink.FAMILY_ALL)
		if err != nil {
			return nil, fmt.Errorf("list addresses of %s: %w", a.Name, err)
		}
		for _, address := range addresses {
			if p, err := netip.ParsePrefix(address.IPNet.String()); err == nil {
				n.Addresses = append(n.Addresses, p)
			}
		}
		all = append(all, n)
	}
	slices.SortFunc(all, func(a, b Network) int { return cmp.Compare(a.Bridge, b.Bridge) })
	return all, nil
}

// uplinks are the interfaces that default routes lead over, by their index.
func uplinks() ([]int, error) {
	var all []int
	for _, family := range []int{netlink.FAMILY_V4, netlink.FAMILY_V6} {
		routes, err := netlink.RouteListFiltered(family, &netlink.Route{Table: unix.RT_TABLE_MAIN}, netlink.RT_FILTER_TABLE)
		if errors.Is(err, unix.EAFNOSUPPORT) || errors.Is(err, unix.EOPNOTSUPP) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("list routes: %w", err)
		}
		for _, r := range routes {
			if r.Dst != nil && !r.Dst.IP.IsUnspecified() {
				continue
			}
			all = append(all, r.LinkIndex)
			for _, hop := range r.MultiPath {
				all = append(all, hop.LinkIndex)
			}
		}
	}
	return all, nil
}
