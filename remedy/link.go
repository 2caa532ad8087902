package remedy

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strconv"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/nestlab/nestlab/remedy/catalogue"
)

func findLink(name string) (netlink.Link, error) {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return nil, fmt.Errorf("find the interface %s; `ip -br link` lists what there is: %w", name, err)
	}
	return link, nil
}

// present finds an interface that may have gone meanwhile: then it is nil.
func present(name string) (netlink.Link, error) {
	link, err := findLink(name)
	if errors.As(err, &netlink.LinkNotFoundError{}) {
		return nil, nil
	}
	return link, err
}

// linkMTU is an interface's MTU in bytes.
type linkMTU struct {
	Name   string `json:"name"`
	Before int    `json:"before"`
	After  int    `json:"after"`
}

func (l *linkMTU) String() string { return fmt.Sprintf("mtu %d of %s", l.After, l.Name) }
func (l *linkMTU) lasts() bool    { return false }
func (l *linkMTU) over() string   { return "mtu " + l.Name }

func (l *linkMTU) do(context.Context, func() error) error {
	link, err := findLink(l.Name)
	if err != nil {
		return err
	}
	return netlink.LinkSetMTU(link, l.After)
}

func (l *linkMTU) undo(context.Context) error {
	link, err := present(l.Name)
	if err != nil || link == nil || link.Attrs().MTU != l.After {
		return err
	}
	return netlink.LinkSetMTU(link, l.Before)
}

func (l *linkMTU) in(context.Context) (bool, error) {
	link, err := present(l.Name)
	return link != nil && link.Attrs().MTU == l.After, err
}

func planMTU(ctx context.Context, parameters map[string]string) ([]record, error) {
	link, err := findLink(parameters["interface"])
	if err != nil {
		return nil, err
	}
	if parameters["how"] == catalogue.Clamp {
		return planClamp(ctx, parameters)
	}
	mtu, err := strconv.Atoi(parameters["mtu"])
	if err != nil {
		return nil, fmt.Errorf("read the MTU: %w", err)
	}
	if link.Attrs().MTU == mtu {
		return nil, fmt.Errorf("the MTU of %s is %d already: %w", link.Attrs().Name, mtu, ErrNothing)
	}
	return []record{{Link: &linkMTU{link.Attrs().Name, link.Attrs().MTU, mtu}}}, nil
}

// addresses are an interface's IPv6 addresses, which the kernel takes away along
// with IPv6. They are only remembered.
type addresses struct {
	Name      string     `json:"name"`
	Addresses []address6 `json:"addresses"`
}

// address6 is an address with its flags and lifetimes in seconds.
type address6 struct {
	CIDR      string `json:"cidr"`
	Flags     int    `json:"flags"`
	Scope     int    `json:"scope"`
	Valid     int    `json:"valid"`
	Preferred int    `json:"preferred"`
}

func (a *addresses) String() string                         { return "IPv6 addresses of " + a.Name + " as before" }
func (a *addresses) lasts() bool                            { return false }
func (a *addresses) over() string                           { return "" }
func (a *addresses) do(context.Context, func() error) error { return nil }
func (a *addresses) in(context.Context) (bool, error)       { return true, nil }

func (a *addresses) undo(context.Context) error {
	link, err := present(a.Name)
	if err != nil || link == nil {
		return err
	}
	now, err := netlink.AddrList(link, netlink.FAMILY_V6)
	if err != nil {
		return fmt.Errorf("list the addresses of %s: %w", a.Name, err)
	}
	has := map[string]bool{}
	for _, x := range now {
		has[x.IPNet.String()] = true
	}
	for _, x := range a.Addresses {
		if has[x.CIDR] {
			continue
		}
		parsed, err := netlink.ParseAddr(x.CIDR)
		if err != nil {
			return fmt.Errorf("read the address %q of the journal: %w", x.CIDR, err)
		}
		// It was found to be unique when it was first given.
		parsed.Flags = x.Flags&^unix.IFA_F_PERMANENT | unix.IFA_F_NODAD
		parsed.Scope, parsed.ValidLft, parsed.PreferedLft = x.Scope, x.Valid, x.Preferred
		if err := netlink.AddrAdd(link, parsed); err != nil && !errors.Is(err, unix.EEXIST) {
			return fmt.Errorf("give %s its address %s back: %w", a.Name, x.CIDR, err)
		}
	}
	return nil
}

func planIPv4Only(_ context.Context, parameters map[string]string) ([]record, error) {
	link, err := findLink(parameters["bridge"])
	if err != nil {
		return nil, err
	}
	name := link.Attrs().Name
	off, err := change("net/ipv6/conf/"+name+"/disable_ipv6", "1")
	if err != nil {
		return nil, fmt.Errorf("is IPv6 in this kernel? %w", err)
	}
	if off.Setting.Before == "1" {
		return nil, fmt.Errorf("IPv6 is off on %s already: %w", name, ErrNothing)
	}
	had, err := netlink.AddrList(link, netlink.FAMILY_V6)
	if err != nil {
		return nil, fmt.Errorf("list the addresses of %s: %w", name, err)
	}
	kept := &addresses{Name: name}
	for _, a := range had {
		kept.Addresses = append(kept.Addresses, address6{a.IPNet.String(), a.Flags, a.Scope, a.ValidLft, a.PreferedLft})
	}
	return []record{{Addresses: kept}, off}, nil
}

// bridgeAddress is a bridge's first IPv4 address.
func bridgeAddress(name string) (netip.Addr, error) {
	link, err := findLink(name)
	if err != nil {
		return netip.Addr{}, err
	}
	all, err := netlink.AddrList(link, netlink.FAMILY_V4)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("list the addresses of %s: %w", name, err)
	}
	for _, a := range all {
		if ip, ok := netip.AddrFromSlice(a.IP.To4()); ok {
			return ip, nil
		}
	}
	return netip.Addr{}, fmt.Errorf("%s has no IPv4 address to listen on; give it one with `ip address add`", name)
}
