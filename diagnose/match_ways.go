package diagnose

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/nestlab/nestlab/model"
)

// deadStates are those of a neighbour that was asked for and does not answer.
var deadStates = []string{"failed", "incomplete"}

// matchWays are the ways that lead nowhere though no policy rule misleads: an address of the
// target on the runner itself, a gateway that is gone, a source or a network of the runner's
// own that answers do not find.
func matchWays(v *view) []Hypothesis {
	var all []Hypothesis
	for _, way := range []struct {
		title string
		told  []told
	}{
		{"The bridge that guests have for their gateway has no IPv4 address", v.around(v.addressLost)},
		{"The runner's route to the guests leaves by another interface than theirs", v.around(v.sourceElsewhere)},
		{"An address of what is tried is on the runner itself", v.around(v.addressHere)},
		{"The interface that packets leave by is a port of a bridge, which takes what comes in", v.around(v.enslaved)},
		{"The bridge sends what is for the runner to one of its ports", v.around(v.diverted)},
		{"What is tried is looked for on a bridge, and nobody there has it", v.around(v.absent)},
		{"The gateway that packets are handed to is not there", v.around(v.gatewayGone)},
		{"The default gateway of guests is not there", v.around(v.guestGatewayGone)},
		{"The runner's own packets leave with an address that answers do not find", v.around(v.wrongSource)},
		{"The bridge's address does not have the network of its guests", v.misfits()},
	} {
		for _, h := range v.withNames(v.tell(CauseMisrouted, way.told)) {
			h.Finding.Title = way.title
			all = append(all, h)
		}
	}
	return all
}

// outward are the decisions about a place's own packets that fail, with those failures, less
// those of which others by the same way are answered.
func (v *view) outward(p model.Place, s *model.Sightings, lost []model.Result, is func(model.Decision) bool) (first model.Decision, mine []model.Result, ok bool) {
	to := map[netip.AddrPort]bool{}
	for _, d := range s.Decisions {
		if d.Reply || !is(d) || slices.ContainsFunc(v.of(p), func(r model.Result) bool { return connectedTo(r, map[netip.AddrPort]bool{farEnd(d): true}) }) {
			continue
		}
		if len(to) == 0 {
			first = d
		}
		to[farEnd(d)] = true
	}
	mine = filter(lost, func(r model.Result) bool { return v.lostTo(r, to) })
	return first, mine, len(mine) > 0
}

// addressHere: what a place connects to is an address of the runner's, other than that by
// which the place is attached. Names that are asked for there go with that.
func (v *view) addressHere(p model.Place, s *model.Sightings, lost []model.Result) (told, bool) {
	link := v.linkOf(p)
	d, mine, ok := v.outward(p, s, lost, func(d model.Decision) bool {
		at := v.holderOf(d.Destination)
		return d.Kind == "local" && d.Rule == "" && at != "" && at != link && !d.Destination.IsLoopback() &&
			slices.ContainsFunc(lost, func(r model.Result) bool {
				return len(r.Detail.Dials) > 0 && v.lostTo(r, map[netip.AddrPort]bool{farEnd(d): true, netip.AddrPortFrom(d.Destination, 0): true})
			})
	})
	if !ok {
		return told{}, false
	}
	at := v.holderOf(d.Destination)
	return told{results: mine, text: fmt.Sprintf("%s is an address of the runner itself, on %s: what is for it stays there (`ip addr show dev %s`, `ip addr del %s dev %s`)",
		d.Destination, at, at, d.Destination, at)}, true
}

// holderOf is the first of the runner's interfaces with an address; empty for none.
func (v *view) holderOf(a netip.Addr) string {
	if all := v.holdersOf(a); len(all) > 0 {
		return all[0]
	}
	return ""
}

// holdersOf are the runner's interfaces with an address.
func (v *view) holdersOf(a netip.Addr) []string {
	runner := v.facts(v.runner())
	if runner == nil {
		return nil
	}
	var all []string
	for _, i := range runner.Interfaces {
		if slices.ContainsFunc(networks(&model.Facts{Interfaces: []model.Interface{i}}), func(n netip.Prefix) bool { return n.Addr() == a }) {
			all = append(all, i.Name)
		}
	}
	return all
}

// answeredFrom reports whether something that a place sent from a source was answered: the
// source has a way back then.
func (v *view) answeredFrom(p model.Place, s *model.Sightings, source netip.Addr) bool {
	return slices.ContainsFunc(s.Decisions, func(d model.Decision) bool {
		return !d.Reply && d.Prefers == source && slices.ContainsFunc(v.of(p), func(r model.Result) bool { return connectedTo(r, map[netip.AddrPort]bool{farEnd(d): true}) })
	})
}

// gatewayGone: packets are handed to a gateway that was asked for and does not answer.
func (v *view) gatewayGone(p model.Place, s *model.Sightings, lost []model.Result) (told, bool) {
	d, mine, ok := v.outward(p, s, lost, func(d model.Decision) bool {
		_, port := v.masterOf(d.Out)
		return noNeighbour(d) && d.Gateway.IsValid() && !port
	})
	if !ok {
		return told{}, false
	}
	t := told{results: mine, text: fmt.Sprintf("%s, to the gateway %s, which nobody there has: it does not answer (`ip neigh show %s` says %s)",
		decisionText(d), d.Gateway, d.Gateway, d.Hop.State)}
	if bridge, attached := v.attached(p); attached && d.Rule != "" {
		if r, known := v.wayBack(misled{Decision: d, place: p, bridge: bridge}, false); known {
			t.remedy = &r
		}
	}
	return t, true
}

// guestGatewayGone: a guest's own default gateway is none of the runner's, and was asked for
// in vain.
func (v *view) guestGatewayGone(p model.Place, s *model.Sightings, lost []model.Result) (told, bool) {
	facts, bridge := v.facts(p), v.linkOf(p)
	seen, ok := v.run.Inspection(p, v.round)
	if !ok || facts == nil || p == v.runner() || bridge == "" {
		return told{}, false
	}
	if _, is := v.addressLost(p, s, lost); is {
		return told{}, false
	}
	if _, is := v.otherServer(p, s, lost); is {
		return told{}, false
	}
	for _, route := range facts.Routes {
		a, err := netip.ParseAddr(route.Gateway)
		if err != nil || route.Destination != "default" || v.holderOf(a) != "" || !slices.ContainsFunc(seen.Neighbours, func(n model.Neighbour) bool {
			return n.Address == route.Gateway && slices.Contains(deadStates, n.State)
		}) {
			continue
		}
		own := networks(facts)
		away := func(a netip.Addr) bool {
			return !slices.ContainsFunc(own, func(n netip.Prefix) bool { return n.Contains(a) })
		}
		mine := filter(lost, func(r model.Result) bool {
			if len(r.Detail.Dials) == 0 { // who was to be asked for the name is out there too
				return unnamed(r) && slices.ContainsFunc(resolversOf(facts), away)
			}
			return outside(r, facts)
		})
		text := fmt.Sprintf("the default gateway of %s is %s, which nobody on %s has: it was asked for, and does not answer; the runner is %s there", p, a, bridge, v.addressOf(bridge))
		if offers := offersIn(seen); len(offers) > 0 && offers[0].Classless == a {
			text += "; " + classlessText(offers[0])
		}
		if options := v.servedBy(s, bridge, portDHCP, "dhcp-option"); options != "" {
			text += "; " + options
		}
		t := told{results: mine}
		if set, ok := v.facts(v.runner()).Engine.Setting(keyDefaultGateway); ok && set.Value == route.Gateway && v.dockerBridge(bridge) {
			t.setting = &set
			text += fmt.Sprintf("; dockerd gives it to containers by %s: leave that out, and the bridge's own address is the gateway", settingText(set))
		}
		t.text = text
		return t, len(mine) > 0
	}
	return told{}, false
}

// servedBy tells the options with some names of who serves a port of a bridge; empty for none.
func (v *view) servedBy(s *model.Sightings, bridge string, port uint16, names ...string) string {
	for _, l := range s.Listeners {
		options := filter(l.Options, func(o string) bool {
			return slices.ContainsFunc(names, func(name string) bool { return strings.HasPrefix(o, name) })
		})
		if v.serves(l, port, bridge) && len(options) > 0 {
			return fmt.Sprintf("%s (process %d), which serves guests of %s, has the option %s", l.Process, l.PID, bridge, strings.Join(options, " and "))
		}
	}
	return ""
}

// wrongSource: the runner's own packets get a source that is an address of another interface
// than the one that they leave by.
func (v *view) wrongSource(p model.Place, s *model.Sightings, lost []model.Result) (told, bool) {
	runner := v.facts(p)
	if p != v.runner() || runner == nil {
		return told{}, false
	}
	d, mine, ok := v.outward(p, s, lost, func(d model.Decision) bool {
		return d.Kind == unicast && d.Prefers.Is4() && !slices.Contains(v.holdersOf(d.Prefers), d.Out) && v.addressOf(d.Out) != "" &&
			!v.answeredFrom(p, s, d.Prefers)
	})
	if !ok {
		return told{}, false
	}
	text := fmt.Sprintf("what the runner sends to %s leaves by %s with the source %s, which is an address of %s: answers do not find it", d.Destination, d.Out, d.Prefers, v.holderOf(d.Prefers))
	for _, r := range runner.Routes {
		if r.Source == d.Prefers.String() && r.Device == d.Out {
			text += fmt.Sprintf("; the route %s dev %s src %s prefers it (that of %s is %s)", r.Destination, r.Device, r.Source, r.Device, v.addressOf(r.Device))
		}
	}
	return told{results: mine, text: text}, true
}

// ruledElsewhere: a policy rule, or a route that refuses, takes packets off the table main's way.
func (v *view) ruledElsewhere(p model.Place, s *model.Sightings, lost []model.Result) (told, bool) {
	bridge, _ := v.attached(p)
	d, mine, ok := v.outward(p, s, lost, func(d model.Decision) bool { return misleads(d, bridge) })
	return told{results: mine, text: decisionText(d)}, ok
}

// misfits are bridges whose own address does not have the network that guests are of.
func (v *view) misfits() []told {
	var all []told
	for _, p := range v.places() {
		text, ref, ok := v.misfit(p)
		mine := filter(v.unexplained(), func(r model.Result) bool { return r.Place == p && r.Probe != model.ProbeStart && r.Outcome.Bad() })
		if ok && len(mine) > 0 {
			all = add(all, told{text: text, results: mine, refs: []string{ref}})
		}
	}
	return all
}

// contradictWay has a way that leads nowhere speak against what is inferred of silence.
func (v *view) contradictWay(h *Hypothesis, places []model.Place) {
	for _, p := range places {
		w := v.watch(p)
		if w == nil || w.Sightings == nil {
			continue
		}
		if text, ref, ok := v.misfit(p); ok {
			h.Contradictions = append(h.Contradictions, model.Evidence{Refs: []string{ref}, Text: text})
		}
		for _, way := range []func(model.Place, *model.Sightings, []model.Result) (told, bool){
			v.addressLost, v.sourceElsewhere, v.wrongSource, v.gatewayGone, v.guestGatewayGone, v.otherServer, v.noDefaultRoute, v.ruledElsewhere, v.pinnedNeighbour,
			v.addressHere, v.enslaved, v.covered, v.absent, v.conflicted, v.filtered, v.diverted,
		} {
			if t, ok := way(p, w.Sightings, v.unanswered(p)); ok {
				h.Contradictions = append(h.Contradictions, model.Evidence{Refs: []string{w.Ref()}, Text: t.text})
			}
		}
	}
}
