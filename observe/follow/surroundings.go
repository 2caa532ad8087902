package follow

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/vishvananda/netlink"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/observe/route"
)

// surroundings reads what decides about packets beside firewall and routing.
func (f *Follower) surroundings(s *model.Sightings) error {
	var now control
	counted := errors.New("traffic control was not counted")
	if f.controlled {
		now, counted = readControl()
		s.Surroundings = now.since(f.control)
		slices.SortFunc(s.Queues, func(a, b model.Queue) int { return cmp.Compare(a.Interface+a.Handle, b.Interface+b.Handle) })
		slices.SortFunc(s.Shapers, func(a, b model.Shaper) int {
			return cmp.Or(cmp.Compare(a.Interface, b.Interface), cmp.Compare(a.Class, b.Class))
		})
		slices.SortFunc(s.Filters, func(a, b model.TrafficFilter) int {
			return cmp.Or(cmp.Compare(a.Interface, b.Interface), cmp.Compare(a.Priority, b.Priority))
		})
	}
	policies, err := blocking()
	s.IPsec = policies
	return errors.Join(counted, err)
}

// waits are the settings of how long connection tracking waits for an answer.
var waits = []string{"nf_conntrack_tcp_timeout_syn_sent", "nf_conntrack_tcp_timeout_syn_recv", "nf_conntrack_tcp_timeout_established", "nf_conntrack_udp_timeout", "nf_conntrack_icmp_timeout"}

// timeouts reads them; those that this kernel lacks are left out.
func timeouts() ([]model.ConntrackTimeout, error) {
	var all []model.ConntrackTimeout
	for _, name := range waits {
		text, err := os.ReadFile("/proc/sys/net/netfilter/" + name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		seconds := 0
		if err == nil {
			seconds, err = strconv.Atoi(strings.TrimSpace(string(text)))
		}
		if err != nil {
			return nil, fmt.Errorf("read how long connections are waited for: %w", err)
		}
		all = append(all, model.ConntrackTimeout{Setting: name, Seconds: seconds})
	}
	return all, nil
}

// neighbour looks up the next hop of a packet that is sent on.
func neighbour(d route.Decision) (*model.NextHop, error) {
	if d.Kind != route.Unicast || d.Interface == "" || d.NextHop() == (netip.Addr{}) {
		return nil, nil
	}
	n, err := route.FindNeighbour(d.Interface, d.NextHop())
	if err != nil {
		return nil, err
	}
	return &model.NextHop{Address: n.Address, Permanent: n.State == route.Permanent, State: string(n.State), MAC: n.MAC}, nil
}

// own tells this host's addresses.
func own() (func(netip.Addr) bool, error) {
	all, err := netlink.AddrList(nil, netlink.FAMILY_ALL)
	if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) {
		return nil, fmt.Errorf("list this host's addresses: %w", err)
	}
	var mine []netip.Addr
	for _, a := range all {
		if ip, ok := netip.AddrFromSlice(a.IP); ok {
			mine = append(mine, ip.Unmap())
		}
	}
	return func(a netip.Addr) bool { return slices.Contains(mine, a) }, nil
}
