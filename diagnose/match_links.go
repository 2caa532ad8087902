package diagnose

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/remedy/catalogue"
)

// mastersThatTake are the kinds of interfaces that take what comes in by their ports.
var mastersThatTake = []string{"bridge", "bond", "team"}

// interfaceOf is an interface of the runner's.
func (v *view) interfaceOf(name string) (model.Interface, bool) {
	runner := v.facts(v.runner())
	if runner == nil {
		return model.Interface{}, false
	}
	i := slices.IndexFunc(runner.Interfaces, func(i model.Interface) bool { return i.Name == name })
	if i < 0 {
		return model.Interface{}, false
	}
	return runner.Interfaces[i], true
}

// masterOf is the bridge or the like that an interface is a port of.
func (v *view) masterOf(name string) (model.Interface, bool) {
	i, ok := v.interfaceOf(name)
	if !ok || i.Master == "" {
		return model.Interface{}, false
	}
	master, ok := v.interfaceOf(i.Master)
	return master, ok && slices.Contains(mastersThatTake, master.Type)
}

// noNeighbour reports whether a packet goes on to a neighbour that was asked for in vain.
func noNeighbour(d model.Decision) bool {
	return d.Kind == unicast && d.Hop != nil && slices.Contains(deadStates, d.Hop.State)
}

// enslaved: packets leave by an interface that is a port of a bridge or a bond, which takes
// what comes in by it, the answers to who asks for a neighbour too.
func (v *view) enslaved(p model.Place, s *model.Sightings, lost []model.Result) (told, bool) {
	d, mine, ok := v.outward(p, s, lost, func(d model.Decision) bool {
		_, port := v.masterOf(d.Out)
		return port && noNeighbour(d)
	})
	if !ok {
		return told{}, false
	}
	port, _ := v.interfaceOf(d.Out)
	says := fmt.Sprintf("%s, by which the runner sends to %s, is a port of the %s %s, which takes what comes in by it, answers to ARP too: on %s no neighbour is ever found",
		port.Name, d.Destination.Unmap(), v.typeOf(port.Master), port.Master, port.Name)
	if own := v4Of(port); own != "" {
		says += fmt.Sprintf("; its address %s belongs on %s", own, port.Master)
	}
	return told{results: mine, text: says + fmt.Sprintf(" (`ip link show dev %s`, `ip link set dev %s nomaster`)", port.Name, port.Name)}, true
}

func (v *view) typeOf(name string) string {
	i, _ := v.interfaceOf(name)
	return i.Type
}

// lookedForOn are the decisions about what is outside by its way and is looked for on a bridge
// that is not the runner's own way out, where nobody has the address.
func (v *view) lookedForOn(d model.Decision) bool {
	return noNeighbour(d) && !d.Gateway.IsValid() && d.Rule == "" && d.Out == d.Main && v.typeOf(d.Out) == "bridge" && d.Out != uplinkOf(v.facts(v.runner()))
}

// covered: what a name stands for, or who is asked for names, is of a network outside and is
// looked for on a bridge, as that has a network with its address too. By an address, who is meant
// is on the bridge.
func (v *view) covered(p model.Place, s *model.Sightings, lost []model.Result) (told, bool) {
	d, mine, ok := v.outward(p, s, lost, func(d model.Decision) bool {
		return v.lookedForOn(d) && v.alsoOn(d) != "" && v.lostBy(d, lost, func(r model.Result) bool { return named(r) || r.Unnamed() })
	})
	if !ok {
		return told{}, false
	}
	other := v.alsoOn(d)
	way, _ := v.interfaceOf(other)
	t := told{results: mine, text: fmt.Sprintf("%s; it is of the network of %s too (%s)", v.lookedForText(d), other, v4Of(way))}
	if catalogue.Interface(other) == nil {
		r := catalogue.Named(catalogue.RouteToBridge, map[string]string{"bridge": other, "address": d.Destination.String()})
		t.remedy, t.onceTried = &r, true
	}
	if set, known := v.facts(v.runner()).Engine.Setting(keyBIP); known && d.Out == dockerBridgeName {
		t.setting = &set
		t.text += fmt.Sprintf("; %s sets it: give it a network that is not in use", settingText(set))
	}
	return t, true
}

// absent: what a name stands for is looked for on a bridge by its address. Whether a guest is
// gone or somebody outside has the same network, nobody here knows.
func (v *view) absent(p model.Place, s *model.Sightings, lost []model.Result) (told, bool) {
	d, mine, ok := v.outward(p, s, lost, func(d model.Decision) bool {
		return v.lookedForOn(d) && v.alsoOn(d) == "" && v.lostBy(d, lost, named)
	})
	return told{results: mine, text: v.lookedForText(d) + ": that guest is gone, or whoever has it is outside, and the bridge needs another network"}, ok
}

// lostBy reports whether a failure of a kind is one of a packet's.
func (v *view) lostBy(d model.Decision, lost []model.Result, is func(model.Result) bool) bool {
	return slices.ContainsFunc(lost, func(r model.Result) bool {
		return is(r) && v.lostTo(r, map[netip.AddrPort]bool{farEnd(d): true})
	})
}

func (v *view) lookedForText(d model.Decision) string {
	at, _ := v.interfaceOf(d.Out)
	return fmt.Sprintf("%s is looked for on %s, whose network (%s) has that address, and nobody there has it (`ip route get %s`, `ip neigh show %s`)",
		d.Destination, at.Name, v4Of(at), d.Destination, d.Destination)
}

// named reports whether a connection was to a host's name, not to an address.
func named(r model.Result) bool {
	_, err := netip.ParseAddr(targetHost(r))
	return err != nil && len(r.Detail.Dials) > 0
}

// alsoOn is the interface that is up, no bridge but the runner's own way out, with another network that
// has the destination of a packet; empty for none.
func (v *view) alsoOn(d model.Decision) string {
	runner := v.facts(v.runner())
	for _, i := range runner.Interfaces {
		if i.Up && i.Name != d.Out && (i.Type != "bridge" || i.Name == uplinkOf(runner)) &&
			slices.ContainsFunc(prefixes(i), func(n netip.Prefix) bool { return n.Bits() < n.Addr().BitLen() && n.Contains(d.Destination) }) {
			return i.Name
		}
	}
	return ""
}

// conflicted: another machine has the address that the runner's packets leave with, so that
// answers go there.
func (v *view) conflicted(p model.Place, _ *model.Sightings, lost []model.Result) (told, bool) {
	w := v.watch(v.runner())
	if w == nil || w.Sightings == nil {
		return told{}, false
	}
	out := v.wayOut(p)
	for _, c := range w.Sightings.Conflicts {
		mine := filter(lost, func(r model.Result) bool { return !allIPv6(r) && (len(r.Detail.Dials) > 0 || r.Unnamed()) })
		back := slices.ContainsFunc(v.of(p), func(r model.Result) bool {
			return tcpLike(r) && answered(r) && (p == v.runner() || outside(r, v.facts(p)))
		})
		if c.Interface != out || back || len(mine) == 0 {
			continue
		}
		return told{results: mine, text: fmt.Sprintf("another machine, with the MAC address %s, has the address %s of %s too: answers go there (`arping -D -I %s %s`)", c.MAC, c.Address, c.Interface, c.Interface, c.Address)}, true
	}
	return told{}, false
}

// matchDuplicate makes of it a cause.
func matchDuplicate(v *view) []Hypothesis {
	return v.withNames(v.tell(CauseDuplicateAddress, v.around(v.conflicted)))
}

// withNames has what the runner itself lacks be why names fail too that somebody on it asks
// for: who answers names there asks as the runner does.
func (v *view) withNames(all []Hypothesis) []Hypothesis {
	for i := range all {
		if slices.Contains(all[i].Finding.Environments, v.runner().String()) {
			all[i].follow(filter(v.unexplained(), func(r model.Result) bool { return unnamed(r) && len(r.Detail.Dials) == 0 }))
		}
	}
	return all
}

// diverted: a bridge's forwarding table sends frames for the bridge itself to a port, so that
// no packet of its guests comes to the runner.
func (v *view) diverted(p model.Place, s *model.Sightings, lost []model.Result) (told, bool) {
	link := v.linkOf(p)
	i := slices.IndexFunc(s.Interfaces, func(i model.InterfaceSettings) bool { return i.Interface == link && i.Diverted != "" })
	if i < 0 || !v.deaf(p, link) {
		return told{}, false
	}
	at, _ := v.interfaceOf(link)
	return told{results: lost, text: fmt.Sprintf("the forwarding table of %s sends frames for its own MAC address %s to the port %s, so that none comes to the runner (`bridge fdb show br %s`, `bridge fdb del %s dev %s master`)",
		link, at.MAC, s.Interfaces[i].Diverted, link, at.MAC, s.Interfaces[i].Diverted)}, true
}

// forRunner reports whether packets should have been addressed to an interface of the runner:
// they are to one of its addresses, or of a place that has the runner for its gateway. Elsewhere
// than on the place's way it was handed a copy, or what was diverted.
func (v *view) forRunner(p model.Place, s model.Sighting) bool {
	if at := s.Kernel.Interface; at != v.linkOf(p) && at != v.wayOut(p) {
		return false
	}
	if slices.ContainsFunc(s.Flows, func(f model.PacketFlow) bool { return v.holderOf(f.Destination.Addr()) != "" }) {
		return true
	}
	facts := v.facts(p)
	return !s.Reply && facts != nil && slices.ContainsFunc(facts.Routes, func(r model.Route) bool {
		a, err := netip.ParseAddr(r.Gateway)
		return err == nil && v.holderOf(a) != ""
	})
}
