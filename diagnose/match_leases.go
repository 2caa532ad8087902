package diagnose

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/nestlab/nestlab/model"
)

// How findings about what DHCP tells are headed, where an offer is made.
const (
	titleOtherServer = "A second DHCP server answers guests of the bridge"
	titleNoDefault   = "What DHCP gives guests leaves them without a default route"
)

// matchDHCPServer: guests ask for an address and are told nothing, or what does not work.
func matchDHCPServer(v *view) []Hypothesis {
	var silent []told
	for _, p := range v.places() {
		if t, ok := v.noOffer(p); ok {
			t.refs = []string{v.watch(p).Ref()}
			silent = add(silent, t)
		}
	}
	all := v.tell(CauseDHCPServer, silent)
	for _, way := range []struct {
		title string
		told  []told
	}{
		{titleOtherServer, v.around(v.otherServer)},
		{titleNoDefault, v.around(v.noDefaultRoute)},
	} {
		for _, h := range v.tell(CauseDHCPServer, way.told) {
			h.Finding.Title = way.title
			all = append(all, h)
		}
	}
	return all
}

// offersIn are what servers offered a place, that which it took first.
func offersIn(i model.Inspection) []model.DHCPOffer {
	return filter(i.DHCP, func(o model.DHCPOffer) bool { return o.Address.IsValid() })
}

// noOffer: what a place asks for an address comes to who gives them out, and no offer is made.
func (v *view) noOffer(p model.Place) (told, bool) {
	l, failed, ok := v.wants(p)
	seen, asked := v.run.Inspection(p, v.round)
	if _, _, misfits := v.misfit(p); !ok || misfits || l.port != portDHCP || len(offersIn(seen)) > 0 {
		return told{}, false
	}
	s := v.watch(p).Sightings
	i := slices.IndexFunc(s.Listeners, func(x model.Listener) bool { return !x.Stopped && v.serves(x, portDHCP, l.bridge) })
	dropped := slices.ContainsFunc(s.Drops, func(d model.Sighting) bool { return d.Carries(portDHCP, protoUDP) })
	if i < 0 || dropped {
		return told{}, false
	}
	x := s.Listeners[i]
	who := "a process that cannot be seen"
	if x.Process != "" {
		who = fmt.Sprintf("%s (process %d)", x.Process, x.PID)
	}
	why := v.knownAlone(x, l.bridge)
	if why == "" {
		why = v.exhausted(x, l.bridge)
	}
	takes, passed := "listens for", ""
	if s.Traced && s.Watched {
		takes, passed = "takes", ", of which none was seen to be dropped on the runner,"
	}
	if why == "" && passed != "" && asked && len(seen.DHCP) > 0 {
		why = "makes no offer: its own log says why"
	}
	return told{results: failed, text: fmt.Sprintf("%s %s %s%s and %s", who, takes, l, passed, why)}, why != ""
}

// knownAlone says that a server serves no guests of a bridge but those that it has an entry for.
func (v *view) knownAlone(x model.Listener, bridge string) string {
	at, _ := v.interfaceOf(bridge)
	var by, ranges []string
	for _, o := range x.Options {
		name, value, _ := strings.Cut(o, "=")
		ends := rangeOf(o)
		switch {
		case name == "dhcp-ignore" && value == "tag:!known":
			by = append(by, o)
		case len(ends) > 0 && holds(at, ends[0]):
			ranges = append(ranges, o)
		}
	}
	if !slices.ContainsFunc(ranges, func(o string) bool { return !slices.Contains(strings.Split(o, ","), "static") }) {
		by = append(by, ranges...)
	}
	if len(by) == 0 {
		return ""
	}
	return fmt.Sprintf("serves guests that it knows alone (%s): others get no offer; give it a dhcp-host for each, or take that out", strings.Join(by, " and "))
}

// exhausted says that a server has no address left in the network of a bridge.
func (v *view) exhausted(x model.Listener, bridge string) string {
	runner := v.facts(v.runner())
	i := slices.IndexFunc(runner.Interfaces, func(i model.Interface) bool { return i.Name == bridge })
	var says []string
	for _, pool := range x.Pools {
		if i < 0 || !pool.First.Is4() || !pool.Last.Is4() || !holds(runner.Interfaces[i], pool.First) {
			continue
		}
		taken, size := pool.Taken, distance(pool.First, pool.Last)+1
		if own, err := netip.ParseAddr(v.addressOf(bridge)); err == nil && !own.Less(pool.First) && !pool.Last.Less(own) {
			taken++
		}
		if taken < size {
			return ""
		}
		says = append(says, fmt.Sprintf("of the %d from %s to %s (dhcp-range) %d are leased and %d reserved for guests that it knows (dhcp-host)",
			size, pool.First, pool.Last, pool.Leased, pool.Reserved))
	}
	if len(says) == 0 {
		return ""
	}
	return "has no address left for others: " + strings.Join(says, "; ")
}

// distance is how many addresses of IPv4 are between two.
func distance(first, last netip.Addr) int {
	n := 0
	a, b := first.As4(), last.As4()
	for i := range a {
		n = n<<8 + int(b[i]) - int(a[i])
	}
	return n
}

// otherServer: two servers answer a place that asks for an address, and what the first one
// gives, which is none of the runner's, is what leads nowhere.
func (v *view) otherServer(p model.Place, _ *model.Sightings, lost []model.Result) (told, bool) {
	facts, bridge := v.facts(p), v.linkOf(p)
	seen, _ := v.run.Inspection(p, v.round)
	offers := offersIn(seen)
	if facts == nil || bridge == "" || len(offers) < 2 || offers[0].Server == offers[1].Server {
		return told{}, false
	}
	took, other := offers[0], offers[1]
	foreign := func(a netip.Addr) bool { return a.IsValid() && v.holderOf(a) == "" }
	g := took.Gateway()
	way := foreign(g) && g != other.Gateway() && defaultBy(facts, g)
	names := !slices.Equal(took.Resolvers, other.Resolvers) && slices.ContainsFunc(took.Resolvers, foreign) && len(v.resolving(p)) == 0
	mine := filter(lost, func(r model.Result) bool {
		if len(r.Detail.Dials) == 0 {
			return unnamed(r) && (names || way && resolvesOutside(facts))
		}
		return way && outside(r, facts)
	})
	text := fmt.Sprintf("several DHCP servers answer who asks for an address on %s: first %s", bridge, v.offerText(took))
	for _, o := range offers[1:] {
		text += "; then " + v.offerText(o)
	}
	return told{results: mine, text: text + "; guests take the first offer that comes"}, len(mine) > 0
}

func (v *view) offerText(o model.DHCPOffer) string {
	who := o.Server.String()
	if o.MAC != "" {
		who += " (" + o.MAC + ")"
	}
	if v.holderOf(o.Server) != "" {
		who += ", the runner's own"
	}
	text := who + ", which gives no gateway"
	if g := o.Gateway(); g.IsValid() {
		text = fmt.Sprintf("%s, which gives the gateway %s", who, g)
	}
	if len(o.Resolvers) > 0 {
		text += " and the resolver " + o.Resolvers[0].String()
	}
	return text
}

func defaultBy(f *model.Facts, gateway netip.Addr) bool {
	return slices.ContainsFunc(f.Routes, func(r model.Route) bool { return r.Destination == "default" && r.Gateway == gateway.String() })
}

// noDefaultRoute: what a place is offered names a way out that a client cannot take.
func (v *view) noDefaultRoute(p model.Place, s *model.Sightings, lost []model.Result) (told, bool) {
	facts := v.facts(p)
	seen, _ := v.run.Inspection(p, v.round)
	offers := offersIn(seen)
	if facts == nil || len(offers) == 0 || !slices.ContainsFunc(networks(facts), func(n netip.Prefix) bool { return n.Addr() == offers[0].Address }) {
		return told{}, false
	}
	if slices.ContainsFunc(facts.Routes, func(r model.Route) bool {
		a, err := netip.ParseAddr(r.Gateway)
		return r.Destination == "default" && (err != nil || a.Is4())
	}) {
		return told{}, false
	}
	o := offers[0]
	network, err := o.Address.Prefix(o.Bits)
	gateway := o.Gateway()
	text := fmt.Sprintf("the DHCP server %s gives %s the address %s with the netmask %s", o.Server, p, o.Address, maskOf(o.Bits))
	switch {
	case err != nil:
		return told{}, false
	case gateway.IsValid() && !gateway.IsUnspecified() && !network.Contains(gateway):
		text += fmt.Sprintf(", that is the network %s, which the gateway %s that it gives is not on: clients that take it at its word have no default route", network, gateway)
	case o.Routes > 0 && !gateway.IsValid() && o.Router.IsValid():
		text += "; " + classlessText(o) + ", and no default route is among them"
	default:
		return told{}, false
	}
	if options := v.servedBy(s, v.linkOf(p), portDHCP, "dhcp-option"); options != "" {
		text += "; " + options
	}
	return told{results: lost, text: text}, true
}

// classlessText says why a client takes other routes than by the router that it is given.
func classlessText(o model.DHCPOffer) string {
	text := "it is given classless static routes (option 121)"
	if o.Router.IsValid() {
		text += fmt.Sprintf(", which clients take instead of the router %s (option 3; RFC 3442)", o.Router)
	}
	return text
}

// maskOf is the netmask of IPv4 of a length.
func maskOf(bits int) string {
	mask := uint32(0xffffffff) << (32 - min(max(bits, 0), 32))
	return netip.AddrFrom4([4]byte{byte(mask >> 24), byte(mask >> 16), byte(mask >> 8), byte(mask)}).String()
}

// contradictReached has a server that makes no offer speak against requests that do not come to it.
func (v *view) contradictReached(h *Hypothesis, places []model.Place) {
	for _, p := range places {
		if t, is := v.noOffer(p); is {
			h.Contradictions = append(h.Contradictions, model.Evidence{Refs: []string{v.watch(p).Ref()}, Text: t.text})
		}
	}
}
