package follow

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"strconv"
	"strings"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/observe"
	"github.com/nestlab/nestlab/observe/route"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// maxDecisions bounds the routes that are asked for: each is some questions to the kernel.
const maxDecisions = 16

// settings reads what decides about packets on each interface.
func (f *Follower) settings(s *model.Sightings) error {
	all, err := route.Read()
	away, unread := diverted()
	for _, i := range all.Interfaces {
		s.Interfaces = append(s.Interfaces, model.InterfaceSettings{Interface: i.Name, Forwarding4: i.Forwarding4, RPFilter: i.RPFilter, NoARP: i.NoARP, ARPIgnore: i.ARPIgnore, Diverted: away[i.Name]})
	}
	table, failed := conntrack()
	s.Conntrack = table
	return errors.Join(err, unread, failed)
}

// conntrack reads how full the table of connections is; nil where there is none.
func conntrack() (*model.Conntrack, error) {
	var table model.Conntrack
	for name, into := range map[string]*int{"nf_conntrack_count": &table.Count, "nf_conntrack_max": &table.Max} {
		text, err := os.ReadFile("/proc/sys/net/netfilter/" + name)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		if err == nil {
			*into, err = strconv.Atoi(strings.TrimSpace(string(text)))
		}
		if err != nil {
			return nil, fmt.Errorf("read how full the table of connections is: %w", err)
		}
	}
	var err error
	table.Timeouts, err = timeouts()
	return &table, err
}

// decisions asks how what was tried is routed, and the answers to it.
func (f *Follower) decisions(s *model.Sightings, tried []Tried, marks map[netip.AddrPort]marked) error {
	var errs []error
	for _, t := range tried[:min(len(tried), maxDecisions)] {
		p := route.Packet{Input: t.In, Tuple: observe.Tuple{
			Protocol: observe.TCP, Source: netip.AddrPortFrom(t.Source, 0), Destination: netip.AddrPortFrom(t.Destination, t.Port),
		}}
		switch {
		case t.Names != "":
			p.Tuple.Protocol, p.Tuple.Destination = observe.UDP, netip.AddrPortFrom(t.Destination, 53)
		case t.Port == 0 && t.Destination.Is4():
			p.Tuple.Protocol = observe.ICMP
		case t.Port == 0:
			p.Tuple.Protocol = observe.ICMPv6
		}
		all, err := bothWays(p)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if m, ok := marks[p.Tuple.Destination]; ok {
			p.Mark = m.mark
			if all[0], err = route.Decide(p); err != nil {
				errs = append(errs, err)
				continue
			}
		}
		for i, d := range all {
			decision, err := decisionOf(d, i > 0)
			decision.Port = t.Port
			if d.Packet.Mark != 0 {
				decision.Mark, decision.MarkedBy = d.Packet.Mark, marks[p.Tuple.Destination].by
			}
			if t.In == "" && i == 0 {
				var failed error
				decision.Prefers, failed = preferred(p)
				errs = append(errs, failed)
			}
			s.Decisions, errs = append(s.Decisions, decision), append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// bothWays decides on a packet and on the answer to it, if there is a way for one.
func bothWays(p route.Packet) ([]route.Decision, error) {
	there, back, err := route.Both(p)
	if back == nil {
		return []route.Decision{there}, err
	}
	return []route.Decision{there, *back}, err
}

// preferred is the source that this host's own packet gets where its program names none.
func preferred(p route.Packet) (netip.Addr, error) {
	p.Tuple.Source = netip.AddrPort{}
	d, err := route.Decide(p)
	return d.Source, err
}

func decisionOf(d route.Decision, reply bool) (model.Decision, error) {
	main, err := mainOf(d.Packet.Tuple.Destination.Addr())
	out := model.Decision{
		Source: d.Packet.Tuple.Source.Addr(), Destination: d.Packet.Tuple.Destination.Addr(), In: d.Packet.Input, Reply: reply,
		Kind: string(d.Kind), Out: d.Interface, Gateway: d.Gateway, Table: d.Table, Main: main, MTU: d.MTU,
	}
	// The kernel's own rules are at 0, 32766 and 32767.
	if d.Rule != nil && d.Rule.Priority > 0 && d.Rule.Priority < 32766 {
		out.Rule, out.Priority = d.Rule.String(), d.Rule.Priority
	}
	next, failed := neighbour(d)
	out.Hop = next
	return out, errors.Join(err, failed)
}

// mainOf is the interface that the table main sends to an address by; empty for none.
func mainOf(to netip.Addr) (string, error) {
	routes, err := netlink.RouteListFiltered(family(to), &netlink.Route{Table: unix.RT_TABLE_MAIN}, netlink.RT_FILTER_TABLE)
	if err != nil {
		return "", fmt.Errorf("list the routes of the table main: %w", err)
	}
	best, name := -1, ""
	for _, r := range routes {
		bits := 0
		if r.Dst != nil {
			a, _ := netip.AddrFromSlice(r.Dst.IP)
			bits, _ = r.Dst.Mask.Size()
			if p, err := a.Unmap().Prefix(bits); err != nil || !p.Contains(to) {
				continue
			}
		}
		if bits > best {
			link, err := netlink.LinkByIndex(r.LinkIndex)
			if err != nil {
				continue // gone meanwhile, or a route that refuses
			}
			best, name = bits, link.Attrs().Name
		}
	}
	return name, nil
}

func family(a netip.Addr) int {
	if a.Is6() {
		return netlink.FAMILY_V6
	}
	return netlink.FAMILY_V4
}
