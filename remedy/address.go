package remedy

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// address4 is an IPv4 address that an interface is given.
type address4 struct {
	Name string `json:"name"`
	CIDR string `json:"cidr"`
}

func (a *address4) String() string { return fmt.Sprintf("address %s of %s", a.CIDR, a.Name) }
func (a *address4) lasts() bool    { return false }
func (a *address4) over() string   { return "address " + a.CIDR + " " + a.Name }

func (a *address4) do(context.Context, func() error) error {
	link, err := findLink(a.Name)
	if err != nil {
		return err
	}
	address, err := netlink.ParseAddr(a.CIDR)
	if err != nil {
		return fmt.Errorf("read the address: %w", err)
	}
	return netlink.AddrAdd(link, address)
}

func (a *address4) undo(context.Context) error {
	link, err := present(a.Name)
	if err != nil || link == nil {
		return err
	}
	address, err := netlink.ParseAddr(a.CIDR)
	if err != nil {
		return fmt.Errorf("read the address: %w", err)
	}
	if err := netlink.AddrDel(link, address); err != nil && !errors.Is(err, unix.EADDRNOTAVAIL) {
		return err
	}
	return nil
}

func (a *address4) in(context.Context) (bool, error) {
	link, err := present(a.Name)
	if err != nil || link == nil {
		return false, err
	}
	all, err := netlink.AddrList(link, netlink.FAMILY_V4)
	if err != nil {
		return false, fmt.Errorf("list the addresses of %s: %w", a.Name, err)
	}
	return slices.ContainsFunc(all, func(x netlink.Addr) bool { return x.IPNet.String() == a.CIDR }), nil
}

func planBridgeAddress(ctx context.Context, parameters map[string]string) ([]record, error) {
	a := &address4{Name: parameters["bridge"], CIDR: parameters["address"]}
	if _, err := findLink(a.Name); err != nil {
		return nil, err
	}
	there, err := a.in(ctx)
	if err != nil {
		return nil, err
	}
	if there {
		return nil, fmt.Errorf("%s has the address %s already: %w", a.Name, a.CIDR, ErrNothing)
	}
	return []record{{Address: a}}, nil
}
