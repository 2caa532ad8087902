package diagnose

import (
	"fmt"
	"net/netip"
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
