package facts

import (
	"context"
	"errors"
	"fmt"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/nestlab/nestlab/model"
)

func interfaces(_ context.Context, f *model.Facts) error {
	links, err := netlink.LinkList()
	if err != nil {
		return fmt.Errorf("list links: %w", err)
	}
	names := map[int]string{}
	for _, l := range links {
		names[l.Attrs().Index] = l.Attrs().Name
	}
	f.Interfaces = []model.Interface{}
	var errs []error
	for _, l := range links {
		a := l.Attrs()
		i := model.Interface{
			Name: a.Name, Type: l.Type(), MAC: a.HardwareAddr.String(), MTU: a.MTU,
			Up: a.Flags&unix.IFF_UP != 0, Master: names[a.MasterIndex], Addresses: []string{},
		}
		addrs, err := netlink.AddrList(l, netlink.FAMILY_ALL)
		if err != nil {
			errs = append(errs, fmt.Errorf("list addresses of %s: %w", a.Name, err))
		}
		for _, addr := range addrs {
			i.Addresses = append(i.Addresses, addr.IPNet.String())
		}
		f.Interfaces = append(f.Interfaces, i)
	}
	return errors.Join(errs...)
}

// routes reads the main table of both families.
func routes(_ context.Context, f *model.Facts) error {
	f.Routes = []model.Route{}
	var errs []error
	for _, family := range []int{netlink.FAMILY_V4, netlink.FAMILY_V6} {
		list, err := netlink.RouteListFiltered(family, &netlink.Route{Table: unix.RT_TABLE_MAIN}, netlink.RT_FILTER_TABLE)
		if errors.Is(err, unix.EAFNOSUPPORT) || errors.Is(err, unix.EOPNOTSUPP) {
			continue // no IPv6 in this kernel: no routes
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("list routes of family %d: %w", family, err))
		}
		for _, r := range list {
			f.Routes = append(f.Routes, route(r))
		}
	}
	return errors.Join(errs...)
}

func route(r netlink.Route) model.Route {
	out := model.Route{Destination: "default", Metric: r.Priority}
	if r.Dst != nil {
		if ones, _ := r.Dst.Mask.Size(); ones > 0 || !r.Dst.IP.IsUnspecified() {
			out.Destination = r.Dst.String()
		}
	}
	if r.Gw != nil {
		out.Gateway = r.Gw.String()
	}
	if r.Src != nil {
		out.Source = r.Src.String()
	}
	if link, err := netlink.LinkByIndex(r.LinkIndex); err == nil {
		out.Device = link.Attrs().Name
	}
	return out
}
