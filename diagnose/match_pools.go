package diagnose

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/nestlab/nestlab/model"
)

// pools are those that dockerd takes networks from unless told otherwise.
var pools = []netip.Prefix{netip.MustParsePrefix("172.16.0.0/12"), netip.MustParsePrefix("192.168.0.0/16")}

// matchAddressPools names the routes that cover dockerd's pools.
func matchAddressPools(v *view) []Hypothesis {
	all := v.daemonSays(CauseAddressPools)
	for i := range all {
		for _, p := range v.affected(all[i].Finding) {
			if e, ok := v.poolRoutes(p); ok {
				all[i].Finding.Evidence = append(all[i].Finding.Evidence, e)
			}
		}
	}
	return all
}

// poolRoutes lists the routes of a place that are in dockerd's pools, or cover them.
func (v *view) poolRoutes(p model.Place) (model.Evidence, bool) {
	f := v.facts(p)
	if f == nil {
		return model.Evidence{}, false
	}
	var taken []string
	for _, r := range f.Routes {
		to, err := netip.ParsePrefix(r.Destination)
		if err != nil || to.Bits() == 0 {
			continue
		}
		for _, pool := range pools {
			if pool.Overlaps(to) {
				taken = append(taken, fmt.Sprintf("%s by %s", to, r.Device))
				break
			}
		}
	}
	if len(taken) == 0 {
		return model.Evidence{}, false
	}
	return model.Evidence{Refs: []string{model.FactsRef(p, factRoutes)},
		Text: fmt.Sprintf("%s has %s in Docker's default pools: %s", p, count(len(taken), "route"), strings.Join(taken, ", "))}, true
}

// overlapTaken: a bridge of the runner has a part of the network of its uplink, and the route
// to the bridge takes what is for machines out there.
func (v *view) overlapTaken(p model.Place, s *model.Sightings, lost []model.Result) (told, bool) {
	runner := v.facts(v.runner())
	if runner == nil {
		return told{}, false
	}
	for _, o := range overlaps(runner) {
		if at, attached := v.attached(p); attached && at == o.bridge.Name || o.other.Name != uplinkOf(runner) || o.of.Bits() < o.with.Bits() {
			continue
		}
		_, _, ok := v.outward(p, s, lost, func(d model.Decision) bool {
			gone := d.Hop != nil && slices.Contains(deadStates, d.Hop.State)
			return d.Kind == unicast && d.Out == o.bridge.Name && !d.Gateway.IsValid() && o.holds(d.Destination.String()) && gone
		})
		mine := filter(lost, func(r model.Result) bool { return v.lostIn(o, r) })
		if !ok || len(mine) == 0 {
			continue
		}
		text := fmt.Sprintf("the network of %s, %s, is a part of that of %s, %s: what is for machines of that part is routed to %s, where nobody has the address (`ip route`, `ip neigh show dev %s`)",
			o.bridge.Name, o.of.Masked(), o.other.Name, o.with.Masked(), o.bridge.Name, o.bridge.Name)
		t := told{results: mine}
		if set, known := runner.Engine.Setting(keyBIP); known && o.bridge.Name == dockerBridgeName {
			t.setting = &set
			text += fmt.Sprintf("; %s sets it: give it a network that is not in use", settingText(set))
		}
		t.text = text
		return t, true
	}
	return told{}, false
}
