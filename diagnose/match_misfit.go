package diagnose

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/nestlab/nestlab/model"
)

// misfit says that the bridge of a place does not have the place's address in its network, or
// not the addresses that its DHCP server gives out.
func (v *view) misfit(p model.Place) (text, ref string, ok bool) {
	bridge, attached := v.attached(p)
	if bridge == "" && attached {
		bridge, attached = v.guestBridge()
	}
	facts, w, runner := v.facts(p), v.watch(p), v.facts(v.runner())
	if !attached || bridge == "" || facts == nil || runner == nil || w == nil || w.Sightings == nil || v.addressOf(bridge) == "" {
		return "", "", false
	}
	i := slices.IndexFunc(runner.Interfaces, func(i model.Interface) bool { return i.Name == bridge })
	inside := func(a netip.Addr) bool { return i >= 0 && holds(runner.Interfaces[i], a) }
	own := prefixes(model.Interface{Addresses: addressesIn(facts)})
	if slices.ContainsFunc(own, func(n netip.Prefix) bool { return inside(n.Addr()) }) {
		return "", "", false
	}
	says := fmt.Sprintf("the address of %s is %s", bridge, v4Of(runner.Interfaces[i]))
	for _, n := range own {
		if n.Contains(netip.MustParseAddr(v.addressOf(bridge))) {
			return fmt.Sprintf("%s, a network without %s of %s: the runner's answers to it leave by another interface", says, n.Addr(), p), w.Ref(), true
		}
	}
	for _, l := range w.Sightings.Listeners {
		fits := slices.ContainsFunc(l.Options, func(o string) bool {
			ends := rangeOf(o)
			return len(ends) > 0 && !slices.ContainsFunc(ends, func(a netip.Addr) bool { return !inside(a) })
		})
		for _, o := range l.Options {
			if len(own) == 0 && !fits && v.serves(l, portDHCP, bridge) && slices.ContainsFunc(rangeOf(o), func(a netip.Addr) bool { return !inside(a) }) {
				return fmt.Sprintf("%s, a network without all of the addresses that %s (process %d) is to give out there (%s)", says, l.Process, l.PID, o), w.Ref(), true
			}
		}
	}
	return "", "", false
}

// rangeOf are the first and the last IPv4 address of an option dhcp-range of dnsmasq's.
func rangeOf(option string) []netip.Addr {
	value, is := strings.CutPrefix(option, "dhcp-range=")
	var ends []netip.Addr
	for _, word := range strings.Split(value, ",") {
		if a, err := netip.ParseAddr(word); is && err == nil && a.Is4() && len(ends) < 2 {
			ends = append(ends, a)
		}
	}
	return ends
}

func addressesIn(f *model.Facts) []string {
	var all []string
	for _, i := range f.Interfaces {
		all = append(all, i.Addresses...)
	}
	return all
}
