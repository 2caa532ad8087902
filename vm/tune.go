package vm

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Tuning is what a scenario changes in the guest that it runs in.
type Tuning struct {
	// Address is the guest's own, instead of what DHCP gave; Gateway and Resolver
	// go with it.
	Address           netip.Prefix
	Gateway, Resolver netip.Addr
	// NoIPv6 turns IPv6 off, and forces apt to IPv4.
	NoIPv6 bool
	// Hosts are lines for /etc/hosts, as NAME=ADDRESS.
	Hosts []string
	// Root is the guest's file system; empty is /.
	Root string
}

// aptIPv4 is where apt is forced to IPv4.
const aptIPv4 = "/etc/apt/apt.conf.d/99nestlab-ipv4"

// Tune makes the changes. It needs root.
func (t Tuning) Tune(context.Context) error {
	var errs []error
	if t.NoIPv6 {
		errs = append(errs, t.noIPv6())
	}
	if len(t.Hosts) > 0 {
		errs = append(errs, t.hosts())
	}
	if t.Address.IsValid() {
		errs = append(errs, t.address())
	}
	if t.Resolver.IsValid() {
		errs = append(errs, t.resolver())
	}
	return errors.Join(errs...)
}

func (t Tuning) noIPv6() error {
	for _, which := range []string{"all", "default"} { // all sets each card's as well
		path := t.Root + "/proc/sys/net/ipv6/conf/" + which + "/disable_ipv6"
		err := os.WriteFile(path, []byte("1"), 0o644)
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // a kernel without IPv6 is as good
			return fmt.Errorf("turn IPv6 off: %w", err)
		}
	}
	err := os.WriteFile(t.Root+aptIPv4, []byte("Acquire::ForceIPv4 \"true\";\n"), 0o644)
	if err != nil && !errors.Is(err, fs.ErrNotExist) { // a system without apt
		return fmt.Errorf("force apt to IPv4: %w", err)
	}
	return nil
}

func (t Tuning) hosts() (err error) {
	f, err := os.OpenFile(t.Root+"/etc/hosts", os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("name hosts: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	for _, h := range t.Hosts {
		name, address, ok := strings.Cut(h, "=")
		if !ok {
			return fmt.Errorf("%q is not NAME=ADDRESS", h)
		}
		if _, err := fmt.Fprintf(f, "%s %s\n", address, name); err != nil {
			return fmt.Errorf("name hosts: %w", err)
		}
	}
	return nil
}

func (t Tuning) resolver() error {
	path := t.Root + "/etc/resolv.conf"
	// It may be a link to what systemd-resolved writes.
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("name a resolver: %w", err)
	}
	if err := os.WriteFile(path, []byte("nameserver "+t.Resolver.String()+"\n"), 0o644); err != nil {
		return fmt.Errorf("name a resolver: %w", err)
	}
	return nil
}

// address gives the first network card the address, and takes away others.
func (t Tuning) address() error {
	link, err := card()
	if err != nil {
		return err
	}
	name := link.Attrs().Name
	old, err := netlink.AddrList(link, netlink.FAMILY_V4)
	if err != nil {
		return fmt.Errorf("list the addresses of %s: %w", name, err)
	}
	for _, a := range old {
		if err := netlink.AddrDel(link, &a); err != nil {
			return fmt.Errorf("take %s from %s: %w", a.IPNet, name, err)
		}
	}
	own := &net.IPNet{IP: t.Address.Addr().AsSlice(), Mask: net.CIDRMask(t.Address.Bits(), t.Address.Addr().BitLen())}
	if err := netlink.AddrAdd(link, &netlink.Addr{IPNet: own}); err != nil {
		return fmt.Errorf("give %s the address %s: %w", name, t.Address, err)
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return fmt.Errorf("bring %s up: %w", name, err)
	}
	if !t.Gateway.IsValid() {
		return nil
	}
	// On the link even where the address's network does not hold it, as with a routed card.
	route := &netlink.Route{LinkIndex: link.Attrs().Index, Gw: t.Gateway.AsSlice(), Flags: unix.RTNH_F_ONLINK}
	if err := netlink.RouteReplace(route); err != nil {
		return fmt.Errorf("route by %s: %w", t.Gateway, err)
	}
	return nil
}

// card is the first network card that is not loopback.
func card() (netlink.Link, error) {
	links, err := netlink.LinkList()
	if err != nil {
		return nil, fmt.Errorf("list the network cards: %w", err)
	}
	for _, l := range links {
		if l.Attrs().Flags&net.FlagLoopback == 0 && len(l.Attrs().HardwareAddr) > 0 {
			return l, nil
		}
	}
	return nil, errors.New("there is no network card")
}

// Arguments call the binary in a guest to make these changes.
func (t Tuning) Arguments() []string {
	args := []string{"vm", "tune"}
	if t.Address.IsValid() {
		args = append(args, "--address", t.Address.String())
	}
	if t.Gateway.IsValid() {
		args = append(args, "--gateway", t.Gateway.String())
	}
	if t.Resolver.IsValid() {
		args = append(args, "--resolver", t.Resolver.String())
	}
	if t.NoIPv6 {
		args = append(args, "--no-ipv6")
	}
	for _, h := range t.Hosts {
		args = append(args, "--host", h)
	}
	return args
}
