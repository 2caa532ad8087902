package diagnose

import (
	"net/netip"
	"slices"

	"github.com/nestlab/nestlab/model"
)

// asks53 reports whether queries to a resolver of the place are among the packets. One
// on loopback passes them on to others.
func (v *view) asks53(facts *model.Facts, s model.Sighting) bool {
	if named := resolversOf(facts); len(named) > 0 {
		return slices.ContainsFunc(named, func(a netip.Addr) bool { return s.To(a, portDNS, protoUDP, protoTCP) })
	}
	return s.To(netip.Addr{}, portDNS, protoUDP, protoTCP)
}

// resolversOf are the resolvers that a place asks itself; none where it does not tell.
func resolversOf(facts *model.Facts) []netip.Addr {
	if facts == nil {
		return nil
	}
	var named []netip.Addr
	for _, text := range facts.Resolvers {
		a, err := netip.ParseAddr(text)
		if err != nil || a.IsLoopback() {
			return nil
		}
		named = append(named, a)
	}
	return named
}

// asksForResolver reports whether packets are among them by which the way to a resolver
// is found.
func (v *view) asksForResolver(r model.Result, facts *model.Facts, s model.Sighting) bool {
	named := resolversOf(facts)
	among := append(v.neighbours(r, facts), named...)
	if len(named) == 0 {
		return s.Discovers(among, false)
	}
	return slices.ContainsFunc(named, func(a netip.Addr) bool { return s.Discovers(among, a.Is6()) })
}

// neighbours are whom packets of a result may have to find on a link: the place, the
// runner, the gateways of both, and what was tried.
func (v *view) neighbours(r model.Result, facts *model.Facts) []netip.Addr {
	all := r.Tried()
	for _, f := range []*model.Facts{facts, v.facts(v.runner())} {
		if f == nil {
			continue
		}
		for _, n := range networks(f) {
			all = append(all, n.Addr())
		}
		for _, route := range f.Routes {
			if a, err := netip.ParseAddr(route.Gateway); err == nil {
				all = append(all, a)
			}
		}
	}
	return all
}

// misnamed reports whether a result failed as a name has no IPv4 address there, which it has
// for the runner: another resolver answered.
func (v *view) misnamed(r model.Result) bool {
	c, ok := v.control(r)
	return ok && passed(c) && (r.Reason == model.DNSNoData || r.Reason == model.Unreachable && allIPv6(r))
}

// onBehalf reports whether a flow is a question of the runner's to a resolver of its own, and
// who answers a place's questions is the runner: it asks as the place does.
func (v *view) onBehalf(p model.Place, s model.Sighting, f model.PacketFlow) bool {
	if p == v.runner() {
		return false
	}
	local, remote := s.Ends(f)
	bridge, _ := v.attached(p)
	return v.servedByRunner(p) && (f.Protocol == protoUDP || f.Protocol == protoTCP) && remote.Port() == portDNS &&
		v.holderOf(local.Addr()) != "" && v.holderOf(remote.Addr()) == "" && !v.ofBridge(bridge, local.Addr().String())
}

// servedByRunner reports whether a place asks the runner alone for names.
func (v *view) servedByRunner(p model.Place) bool {
	bridge, attached := v.attached(p)
	asks := resolversOf(v.facts(p))
	return attached && len(asks) > 0 && !slices.ContainsFunc(asks, func(a netip.Addr) bool { return !v.ofBridge(bridge, a.String()) })
}
