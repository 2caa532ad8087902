package diagnose

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/remedy/catalogue"
)

func matchAAAAOnly(v *view) []Hypothesis {
	nodata := filter(v.failedWith(model.DNSNoData), func(r model.Result) bool { return r.Probe == model.ProbeDNSA })
	failed := filter(v.unexplained(), func(r model.Result) bool {
		return slices.Contains([]model.Reason{model.DNSNoData, model.Unreachable, model.ConnectTimeout}, r.Reason) &&
			r.Probe != model.ProbeStart && (r.Reason == model.DNSNoData || allIPv6(r))
	})
	if len(nodata) == 0 {
		return nil
	}
	h := v.symptom(CauseAAAAOnly, failed, fmt.Sprintf("resolvers answer, but have no IPv4 address of %s", join(hosts(nodata))))
	six := filter(v.base, func(r model.Result) bool {
		return r.Probe == model.ProbeDNSAAAA && passed(r) && r.Detail.Values["addresses"] != ""
	})
	if len(six) > 0 {
		h.Finding.Evidence = append(h.Finding.Evidence, model.Evidence{Refs: refsOf(six), Text: "they have IPv6 addresses"})
	} else {
		h.contradict(nodata, "the names have no IPv6 address either")
	}
	return []Hypothesis{h}
}

func matchV6NoRoute(v *view) []Hypothesis {
	failed := filter(v.failedWith(model.Unreachable, model.ConnectTimeout), allIPv6)
	if len(failed) == 0 {
		return nil
	}
	h := v.symptom(CauseV6NoRoute, failed, "every address that was tried is an IPv6 one, and none answered")
	h.contradict(filter(v.base, func(r model.Result) bool {
		return r.Probe == model.ProbeDNSA && r.Reason == model.DNSNoData
	}), "the names have no IPv4 address that could be tried")
	places, sites, tried := placesOf(failed), set(hosts(failed)), map[netip.AddrPort]bool{}
	for _, r := range failed {
		for _, d := range r.Detail.Dials {
			if a, err := netip.ParseAddrPort(d.Address); err == nil && a.Addr().Unmap().Is6() && d.Reason != "" {
				tried[a] = true
			}
		}
	}
	h.contradict(filter(v.base, func(r model.Result) bool {
		return onlyIPv6(r) && passed(r) && slices.Contains(places, r.Place)
	}), "other connections over IPv6 pass")
	h.contradict(filter(v.of(v.runner()), func(r model.Result) bool {
		return (onlyIPv6(r) && passed(r) && sites[targetHost(r)] || connectedTo(r, tried)) && !slices.Contains(places, r.Place)
	}), "the runner itself reaches the same over IPv6")
	four := filter(v.base, func(r model.Result) bool {
		return tcpLike(r) && passed(r) && !onlyIPv6(r) && slices.Contains(places, r.Place) && sites[targetHost(r)]
	})
	if len(four) > 0 {
		h.Finding.Evidence = append(h.Finding.Evidence, model.Evidence{Refs: refsOf(four),
			Text: "what tries IPv4 as well gets through to the same hosts"})
	}
	if e, ok := v.noRoute6(places); ok {
		h.Finding.Evidence = append(h.Finding.Evidence, e)
	}
	// Where IPv4 answers what tries every address, to take IPv6 away would help nobody.
	helps := slices.ContainsFunc(failed, func(r model.Result) bool { return !halfAnswered(r) })
	if bridge, ok := v.oneBridge(placesOf(failed)); ok && helps {
		h.test(catalogue.Named(catalogue.IPv4Only, map[string]string{"bridge": bridge}), placesOf(failed)...)
	}
	return []Hypothesis{h}
}

// noRoute6 is what the kernel says where it has no route for IPv6 packets of places.
func (v *view) noRoute6(places []model.Place) (model.Evidence, bool) {
	for _, p := range places {
		w := v.watch(p)
		if w == nil || w.Sightings == nil {
			continue
		}
		for _, d := range w.Sightings.Decisions {
			if !d.Reply && d.Destination.Is6() && d.Kind == "no route" && d.Rule == "" {
				return model.Evidence{Refs: []string{w.Ref()}, Text: fmt.Sprintf("the runner has no route to %s for packets of %s (`ip -6 route show`)", d.Destination, p)}, true
			}
		}
	}
	return model.Evidence{}, false
}

// lacksIPv6 reports whether the runner tried IPv6 addresses of the same hosts in vain too.
func (v *view) lacksIPv6(f model.Finding) bool {
	sites := set(hosts(filter(v.base, func(r model.Result) bool {
		return slices.Contains(v.affected(f), r.Place) && allIPv6(r) && r.Outcome.Bad()
	})))
	return slices.ContainsFunc(v.of(v.runner()), func(r model.Result) bool {
		return sites[targetHost(r)] && slices.ContainsFunc(r.Detail.Dials, func(d model.Dial) bool {
			a, err := netip.ParseAddrPort(d.Address)
			return err == nil && a.Addr().Is6() && d.Reason != ""
		})
	})
}

// oneBridge is the runner's bridge that all of the places are behind.
func (v *view) oneBridge(places []model.Place) (string, bool) {
	at := ""
	for _, p := range places {
		bridge, ok := v.attached(p)
		if !ok || catalogue.Interface(bridge) != nil || at != "" && at != bridge {
			return "", false
		}
		at = bridge
	}
	return at, at != ""
}

// allIPv6 reports whether addresses were tried, and all of them are IPv6 ones. Of what
// tries every address those of IPv4 that answered do not count.
func allIPv6(r model.Result) bool {
	for _, d := range r.Detail.Dials {
		a, err := netip.ParseAddrPort(d.Address)
		if err != nil || a.Addr().Unmap().Is4() && (d.Reason != "" || r.Probe != model.ProbeTCP) {
			return false
		}
	}
	return len(r.Detail.Dials) > 0
}
