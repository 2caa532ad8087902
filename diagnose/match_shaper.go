package diagnose

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/nestlab/nestlab/model"
)

// crawl is a rate, in bits per second, at which nothing of today comes in time.
const crawl = 1_000_000

// shaped are the failures of places whose packets a rate holds back.
func (v *view) shaped() []told {
	var all []told
	for _, p := range v.places() {
		text, ok := v.shaper(p)
		mine := filter(v.unexplained(), func(r model.Result) bool {
			c, known := v.control(r)
			late := slices.Contains(cutOff, r.Reason) || r.Reason == model.ConnectTimeout || r.Reason == model.DNSTimeout
			return r.Place == p && r.Probe != model.ProbeStart && r.Outcome.Bad() && late && (!known || passed(c) || p == v.runner())
		})
		if ok && len(mine) > 0 {
			all = add(all, told{text: text, results: mine, refs: []string{v.watch(p).Ref()}})
		}
	}
	return all
}

// shaper says that the rate of a queueing discipline at the interface of a place holds its
// packets back.
func (v *view) shaper(p model.Place) (string, bool) {
	w, link := v.watch(p), v.linkOf(p)
	if w == nil || w.Sightings == nil || link == "" {
		return "", false
	}
	for _, s := range w.Sightings.Shapers {
		if s.Interface != link || s.Rate == 0 || s.Rate >= crawl {
			continue
		}
		class := ""
		if s.Class != "" {
			class = ", class " + s.Class
		}
		return fmt.Sprintf("the queueing discipline %s of %s%s lets pass %d kbit/s: packets had to wait %d times, and %d bytes waited in the end (`tc -s class show dev %s`)",
			s.Kind, s.Interface, class, s.Rate/1000, s.Delayed, s.Waiting, s.Interface), true
	}
	return "", false
}

// contradictShaper has a rate that holds packets back speak against their size.
func (v *view) contradictShaper(h *Hypothesis, places []model.Place) {
	for _, p := range places {
		if text, ok := v.shaper(p); ok {
			h.Contradictions = append(h.Contradictions, model.Evidence{Refs: []string{v.watch(p).Ref()}, Text: text})
		}
	}
}

// matchIPsec: a policy wants a place's packets encrypted, and there is no state for it: the
// kernel drops them, and does not always say so.
func matchIPsec(v *view) []Hypothesis {
	return v.tell(CauseIPsecPolicy, v.around(func(p model.Place, s *model.Sightings, lost []model.Result) (told, bool) {
		own := v.addressesOf(p, v.facts(p))
		for _, policy := range s.IPsec {
			selects := func(to netip.Addr) bool {
				return slices.ContainsFunc(own, func(from netip.Addr) bool {
					return blocks(policy, model.PacketFlow{Source: netip.AddrPortFrom(from, 0), Destination: netip.AddrPortFrom(to, 0)})
				})
			}
			mine := filter(lost, func(r model.Result) bool { return slices.ContainsFunc(r.Tried(), selects) })
			if policy.Tunnel.IsValid() && len(mine) > 0 {
				return told{results: mine, text: ipsecText(policy)}, true
			}
		}
		return told{}, false
	}))
}
