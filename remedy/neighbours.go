package remedy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/nestlab/nestlab/remedy/catalogue"
)

func planConntrackTimeout(_ context.Context, parameters map[string]string) ([]record, error) {
	r, err := change("net/netfilter/"+parameters["setting"], parameters["seconds"])
	if err != nil {
		return nil, err
	}
	return []record{r}, nil
}

// arp is an interface's ARP, which is switched on.
type arp struct {
	Name string `json:"name"`
}

func (a *arp) String() string { return "arp on at " + a.Name }
func (a *arp) lasts() bool    { return false }
func (a *arp) over() string   { return "arp " + a.Name }

func (a *arp) do(context.Context, func() error) error {
	link, err := findLink(a.Name)
	if err != nil {
		return err
	}
	return netlink.LinkSetARPOn(link)
}

func (a *arp) undo(context.Context) error {
	link, err := present(a.Name)
	if err != nil || link == nil {
		return err
	}
	return netlink.LinkSetARPOff(link)
}

func (a *arp) in(context.Context) (bool, error) {
	link, err := present(a.Name)
	return link != nil && link.Attrs().RawFlags&unix.IFF_NOARP == 0, err
}

func planARP(_ context.Context, parameters map[string]string) ([]record, error) {
	link, err := findLink(parameters["interface"])
	if err != nil {
		return nil, err
	}
	if link.Attrs().RawFlags&unix.IFF_NOARP == 0 {
		return nil, fmt.Errorf("ARP of %s is on already: %w", parameters["interface"], ErrNothing)
	}
	return []record{{ARP: &arp{parameters["interface"]}}}, nil
}

// planARPAnswer leaves the setting of all interfaces alone: while that has no request
// answered, one interface's own does not matter.
func planARPAnswer(_ context.Context, parameters map[string]string) ([]record, error) {
	all, err := readSetting("net/ipv4/conf/all/arp_ignore")
	if err != nil {
		return nil, fmt.Errorf("read the setting net.ipv4.conf.all.arp_ignore: %w", err)
	}
	if all == "8" {
		return nil, errors.New("net.ipv4.conf.all.arp_ignore is 8, which counts for every interface: find who sets it (/etc/sysctl.d), and set it to 0")
	}
	return planConf(parameters["interface"], "arp_ignore", "0")
}

// forgotten is a permanent entry of the neighbour table that is taken out.
type forgotten struct {
	Name    string `json:"name"`
	Address string `json:"address"`
	MAC     string `json:"mac"`
}

func (f *forgotten) String() string { return fmt.Sprintf("no permanent %s on %s", f.Address, f.Name) }
func (f *forgotten) lasts() bool    { return false }
func (f *forgotten) over() string   { return "neighbour " + f.Address + " " + f.Name }

// find gives the entry as netlink takes it, and the one that there is for the address.
func (f *forgotten) find() (entry, now *netlink.Neigh, err error) {
	link, err := present(f.Name)
	if err != nil || link == nil {
		return nil, nil, err
	}
	a, err := netip.ParseAddr(f.Address)
	if err != nil {
		return nil, nil, fmt.Errorf("read the address: %w", err)
	}
	family := netlink.FAMILY_V4
	if a.Is6() {
		family = netlink.FAMILY_V6
	}
	mac, err := net.ParseMAC(f.MAC)
	if err != nil && f.MAC != "" {
		return nil, nil, fmt.Errorf("read the MAC address: %w", err)
	}
	all, err := netlink.NeighList(link.Attrs().Index, family)
	if err != nil {
		return nil, nil, fmt.Errorf("list the neighbours on %s: %w", f.Name, err)
	}
	entry = &netlink.Neigh{LinkIndex: link.Attrs().Index, Family: family, State: netlink.NUD_PERMANENT, IP: a.AsSlice(), HardwareAddr: mac}
	for i := range all {
		if all[i].IP.Equal(entry.IP) {
			now = &all[i]
		}
	}
	return entry, now, nil
}

func (f *forgotten) do(context.Context, func() error) error {
	entry, _, err := f.find()
	if err != nil {
		return err
	}
	if entry == nil {
		return fmt.Errorf("the interface %s is gone", f.Name)
	}
	return netlink.NeighDel(entry)
}

// undo leaves alone what somebody else wrote meanwhile.
func (f *forgotten) undo(context.Context) error {
	entry, now, err := f.find()
	if err != nil || entry == nil || now != nil && now.State == netlink.NUD_PERMANENT {
		return err
	}
	return netlink.NeighSet(entry)
}

func (f *forgotten) in(context.Context) (bool, error) {
	entry, now, err := f.find()
	return entry != nil && (now == nil || now.State != netlink.NUD_PERMANENT), err
}

func planNeighbour(_ context.Context, parameters map[string]string) ([]record, error) {
	f := &forgotten{Name: parameters["interface"], Address: parameters["address"]}
	if _, err := findLink(f.Name); err != nil {
		return nil, err
	}
	_, now, err := f.find()
	if err != nil {
		return nil, err
	}
	if now == nil || now.State != netlink.NUD_PERMANENT {
		return nil, fmt.Errorf("%s has no permanent entry on %s: %w", f.Address, f.Name, ErrNothing)
	}
	f.MAC = now.HardwareAddr.String()
	return []record{{Forgotten: f}}, nil
}

// hostRoute is a route of nestlab's own to guests: an address or a network.
type hostRoute struct {
	Bridge  string `json:"bridge"`
	Address string `json:"address"`
}

func (r *hostRoute) String() string { return fmt.Sprintf("route %s dev %s", r.Address, r.Bridge) }
func (r *hostRoute) lasts() bool    { return false }
func (r *hostRoute) over() string   { return "route " + r.Address }

// route is nil where the bridge is gone, and its routes with it.
func (r *hostRoute) route() (*netlink.Route, error) {
	link, err := present(r.Bridge)
	if err != nil || link == nil {
		return nil, err
	}
	n, err := catalogue.ParseNetwork(r.Address)
	if err != nil {
		return nil, fmt.Errorf("read the route: %w", err)
	}
	return &netlink.Route{LinkIndex: link.Attrs().Index, Scope: netlink.SCOPE_LINK, Table: unix.RT_TABLE_MAIN,
		Dst: &net.IPNet{IP: n.Addr().AsSlice(), Mask: net.CIDRMask(n.Bits(), n.Addr().BitLen())}}, nil
}

func (r *hostRoute) do(context.Context, func() error) error {
	route, err := r.route()
	if err != nil {
		return err
	}
	if route == nil {
		return fmt.Errorf("the bridge %s is gone", r.Bridge)
	}
	return netlink.RouteAdd(route)
}

func (r *hostRoute) undo(context.Context) error {
	route, err := r.route()
	if err != nil || route == nil {
		return err
	}
	if err := netlink.RouteDel(route); err != nil && !errors.Is(err, unix.ESRCH) {
		return err
	}
	return nil
}

func (r *hostRoute) in(context.Context) (bool, error) {
	want, err := r.route()
	if err != nil || want == nil {
		return false, err
	}
	family := netlink.FAMILY_V4
	if want.Dst.IP.To4() == nil {
		family = netlink.FAMILY_V6
	}
	all, err := netlink.RouteListFiltered(family, want, netlink.RT_FILTER_OIF|netlink.RT_FILTER_DST|netlink.RT_FILTER_TABLE)
	if err != nil {
		return false, fmt.Errorf("list the routes of %s: %w", r.Bridge, err)
	}
	return len(all) > 0, nil
}

func planHostRoute(ctx context.Context, parameters map[string]string) ([]record, error) {
	if _, err := findLink(parameters["bridge"]); err != nil {
		return nil, err
	}
	var steps []record
	for to := range strings.SplitSeq(parameters["address"], ",") {
		r := &hostRoute{Bridge: parameters["bridge"], Address: to}
		there, err := r.in(ctx)
		if err != nil {
			return nil, err
		}
		if !there {
			steps = append(steps, record{HostRoute: r})
		}
	}
	if len(steps) == 0 {
		return nil, fmt.Errorf("that route is there already: %w", ErrNothing)
	}
	return steps, nil
}

// commands of a forgotten entry name the MAC address that it had.
func (f *forgotten) commands(context.Context) (change, back []string, err error) {
	return []string{catalogue.Shell("ip", "neigh", "del", f.Address, "dev", f.Name)},
		[]string{catalogue.Shell("ip", "neigh", "replace", f.Address, "dev", f.Name, "lladdr", f.MAC, "nud", "permanent")}, nil
}
