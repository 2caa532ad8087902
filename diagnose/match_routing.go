package diagnose

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/remedy/catalogue"
)

// unicast is a packet that is sent on, as sightings have it.
const unicast = "unicast"

// misled is a decision that takes packets another way than the table main does.
type misled struct {
	model.Decision
	place  model.Place
	watch  *model.Watch
	bridge string
}

// matchMisrouted compares how packets of failing connections are routed with where the
// table main, which the runner's own go by, would send them.
func matchMisrouted(v *view) []Hypothesis {
	var order []string
	groups := map[string][]misled{}
	for _, p := range v.places() {
		w := v.watch(p)
		bridge, attached := v.attached(p)
		if w == nil || w.Sightings == nil || !attached && p != v.runner() {
			continue
		}
		for _, d := range w.Sightings.Decisions {
			if !misleads(d, bridge) || d.Reply && d.Rule == "" && (!v.reaches(bridge, d.Destination) || v.shared(bridge, d.Out)) {
				continue
			}
			// One policy rule may take both directions.
			key := fmt.Sprint(bridge, d.Reply && d.Rule == "", d.Rule, d.Kind, d.Out)
			if groups[key] == nil {
				order = append(order, key)
			}
			groups[key] = append(groups[key], misled{d, p, w, bridge})
		}
	}
	var all []Hypothesis
	for _, key := range order {
		if h, ok := v.misroutedBy(groups[key]); ok {
			all = append(all, h)
		}
	}
	return all
}

// reaches reports whether an address is of a network of the runner's bridge.
func (v *view) reaches(bridge string, a netip.Addr) bool {
	return slices.ContainsFunc(v.facts(v.runner()).Interfaces, func(i model.Interface) bool {
		return i.Name == bridge && slices.ContainsFunc(prefixes(i), func(n netip.Prefix) bool { return n.Contains(a) })
	})
}

// shared reports whether a network outside is a bridge's too: that is a cause of its own.
func (v *view) shared(bridge, out string) bool {
	return slices.ContainsFunc(overlaps(v.facts(v.runner())), func(o overlap) bool {
		return o.bridge.Name == bridge && o.other.Name == out && o.other.Type != "bridge"
	})
}

// misleads reports whether a policy rule, or a route that refuses, takes a packet off the
// table main's way.
func misleads(d model.Decision, bridge string) bool {
	switch {
	case d.Kind == notForwarding || d.Kind == reversePath || d.Kind == "martian":
		return false // told of by what drops them
	case d.Kind == "no route" && d.Rule == "":
		return false // nothing leads elsewhere: there is no way at all
	case d.Kind != unicast: // the kernel's own rule about local addresses is none
		return d.Kind != "local" || d.Rule != "" && !d.Reply
	case d.Reply:
		return bridge != "" && d.Out != bridge // by a policy rule, or by a narrower route
	case d.Rule == "":
		return false
	}
	return d.Main != "" && d.Out != d.Main
}

func (v *view) misroutedBy(group []misled) (Hypothesis, bool) {
	var places []model.Place
	to := map[netip.AddrPort]bool{}
	for _, m := range group {
		places = append(places, m.place)
		to[farEnd(m.Decision)] = true
	}
	places = unique(places)
	failed := filter(v.unexplained(), func(r model.Result) bool {
		return slices.Contains(places, r.Place) && r.Outcome.Bad() && v.lostTo(r, to)
	})
	if len(failed) == 0 {
		return Hypothesis{}, false
	}
	h := v.symptom(CauseMisrouted, failed, "")
	h.contradict(filter(v.base, func(r model.Result) bool {
		return slices.Contains(places, r.Place) && connectedTo(r, to)
	}), "connections that are routed that way are answered")
	h.Finding.Evidence = h.Finding.Evidence[1:]
	var says []model.Evidence
	for _, reply := range []bool{false, true} {
		if i := slices.IndexFunc(group, func(m misled) bool { return m.Reply == reply }); i >= 0 {
			says = append(says, model.Evidence{Refs: []string{group[i].watch.Ref()}, Text: decisionText(group[i].Decision)})
		}
	}
	h.Finding.Evidence = slices.Insert(h.Finding.Evidence, 0, says...)
	h.told = true // by the kernel at once, by whoever asks for a neighbour in vain, or not
	if r, ok := v.wayBack(group[0], len(says) > 1); ok {
		h.test(r, places...)
	}
	return h, true
}

// farEnd is the end of a decision's packet that is not the place's.
func farEnd(d model.Decision) netip.AddrPort {
	if d.Reply {
		return netip.AddrPortFrom(d.Source, d.Port)
	}
	return netip.AddrPortFrom(d.Destination, d.Port)
}

// connectedTo reports whether one of the addresses was connected to.
func connectedTo(r model.Result, to map[netip.AddrPort]bool) bool {
	return slices.ContainsFunc(r.Detail.Dials, func(d model.Dial) bool { return d.Reason == "" && dialled(d, to) })
}

// dialled reports whether one of the addresses was dialled, at its port if it has one.
func dialled(d model.Dial, to map[netip.AddrPort]bool) bool {
	at, err := netip.ParseAddrPort(d.Address)
	a := at.Addr().Unmap()
	return err == nil && (to[netip.AddrPortFrom(a, at.Port())] || to[netip.AddrPortFrom(a, 0)])
}

// lostTo reports whether a result failed to connect to one of the addresses, or to ask one
// of them for a name.
func (v *view) lostTo(r model.Result, to map[netip.AddrPort]bool) bool {
	if len(r.Detail.Dials) == 0 {
		asked := r.Tried()
		if r.Unnamed() {
			asked = append(asked, resolversOf(v.facts(r.Place))...)
		}
		return slices.ContainsFunc(asked, func(a netip.Addr) bool { return to[netip.AddrPortFrom(a, 0)] })
	}
	return slices.ContainsFunc(r.Detail.Dials, func(d model.Dial) bool { return d.Reason != "" && dialled(d, to) })
}

// wayBack routes the bridge's network by the table main, before the rule that misleads one
// direction or both.
func (v *view) wayBack(m misled, both bool) (model.Remedy, bool) {
	if catalogue.Interface(m.bridge) != nil {
		return model.Remedy{}, false
	}
	if m.Reply && m.Rule == "" { // another route of the same table
		return catalogue.Named(catalogue.RouteToBridge, map[string]string{"bridge": m.bridge, "address": v.routesTo(m)}), true
	}
	if m.Priority < 2 {
		return model.Remedy{}, false
	}
	guest := m.Source
	way := "from"
	if m.Reply {
		guest, way = m.Destination, "to"
	}
	if both {
		way = "both"
	}
	for _, i := range v.facts(v.runner()).Interfaces {
		for _, text := range i.Addresses {
			p, err := netip.ParsePrefix(text)
			if err == nil && i.Name == m.bridge && p.Contains(guest) {
				return catalogue.Named(catalogue.RouteByMain, map[string]string{
					"network": p.Masked().String(), "way": way, "priority": strconv.Itoa(m.Priority - 1),
				}), true
			}
		}
	}
	return model.Remedy{}, false
}

// routesTo are what has to be routed to a bridge for its guests to be answered: its network,
// or the halves of what another route takes of that.
func (v *view) routesTo(m misled) string {
	var network netip.Prefix
	for _, i := range v.facts(v.runner()).Interfaces {
		for _, n := range prefixes(i) {
			if i.Name == m.bridge && n.Contains(m.Destination) {
				network = n.Masked()
			}
		}
	}
	var taken netip.Prefix
	for _, r := range v.facts(v.runner()).Routes {
		n, err := catalogue.ParseNetwork(r.Destination)
		if err == nil && r.Device != m.bridge && n.Contains(m.Destination) && (!taken.IsValid() || n.Bits() > taken.Bits()) {
			taken = n
		}
	}
	switch {
	case !network.IsValid() || taken.IsValid() && taken.Bits() == taken.Addr().BitLen():
		return m.Destination.String()
	case !taken.IsValid() || taken.Bits() < network.Bits():
		return network.String()
	}
	bytes := taken.Addr().AsSlice()
	bytes[taken.Bits()/8] |= 0x80 >> (taken.Bits() % 8)
	upper, _ := netip.AddrFromSlice(bytes)
	return netip.PrefixFrom(taken.Addr(), taken.Bits()+1).String() + "," + netip.PrefixFrom(upper, taken.Bits()+1).String()
}

func decisionText(d model.Decision) string {
	what := fmt.Sprintf("packets from %s to %s", d.Source, d.Destination)
	if d.Reply {
		what = fmt.Sprintf("answers from %s to %s", d.Source, d.Destination)
	}
	by := ""
	switch {
	case d.Rule != "":
		by = fmt.Sprintf(" by the policy rule %q", d.Rule)
	case d.Table != 0:
		by = fmt.Sprintf(" by the table %d", d.Table)
	}
	if d.MarkedBy != nil {
		by += fmt.Sprintf(", as they have the mark %#x of the rule %q of chain %s in table %s %s", d.Mark, d.MarkedBy.Text, d.MarkedBy.Chain, d.MarkedBy.Family, d.MarkedBy.Table)
	}
	if d.Kind == "local" {
		return fmt.Sprintf("the runner takes %s for its own%s", what, by)
	}
	if d.Kind != unicast {
		return fmt.Sprintf("the runner routes %s nowhere (%s)%s", what, d.Kind, by)
	}
	says := fmt.Sprintf("the runner routes %s out by %s%s", what, d.Out, by)
	if d.Main != "" && d.Main != d.Out {
		says += fmt.Sprintf("; its table main says %s", d.Main)
	}
	return says
}
