package diagnose

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/remedy/catalogue"
)

// safeMTU is what every path has to carry that carries IPv6 (RFC 8200).
const safeMTU = 1280

func matchMTUBlackhole(v *view) []Hypothesis {
	hung := v.failedWith(model.MTU)
	hung = filter(hung, func(r model.Result) bool { return !trickled(r) })
	if len(hung) == 0 {
		return nil
	}
	places := placesOf(hung)
	stalled := filter(v.failedWith(model.ReadTimeout, model.TLSOther), func(r model.Result) bool { return slices.Contains(places, r.Place) })
	h := v.symptom(CauseMTUBlackhole, append(slices.Clone(hung), stalled...), "small packets are answered, large ones are not")
	small := filter(v.base, func(r model.Result) bool { return slices.Contains(places, r.Place) && tcpLike(r) && passed(r) })
	if len(small) > 0 {
		h.Finding.Evidence = append(h.Finding.Evidence, model.Evidence{Refs: refsOf(small), Text: "what fits in small packets passes there"})
	}
	// A daemon gives up a handshake that hangs, and says that it was refused.
	h.follow(filter(v.failedWith(model.Refused), func(r model.Result) bool {
		docker := []string{model.ProbeRegistryPull, model.ProbeDockerRun, model.ProbeDockerBuild}
		return slices.Contains(places, r.Place) && slices.Contains(docker, r.Probe)
	}))
	v.mtuRemedy(&h, hung, places)
	return []Hypothesis{h}
}

// trickled reports whether a large answer did come, slowly: that is no matter of size.
func trickled(r model.Result) bool {
	n, err := strconv.Atoi(r.Detail.Values["down_bytes"])
	return err == nil && n > 0 && r.Detail.Values["up_bytes"] == ""
}

// mtuRemedy fits guests' packets to the path: on their bridge, or on the uplink
// where guests of several bridges are concerned. What the runner itself sends is
// only helped by its uplink's own MTU, which would then be the remedy.
func (v *view) mtuRemedy(h *Hypothesis, hung []model.Result, places []model.Place) {
	runner := v.facts(v.runner())
	if runner == nil {
		return
	}
	var bridges []string
	var guests []model.Place
	for _, p := range places {
		bridge, ok := v.attached(p)
		if !ok || p.Environment == model.EnvDindInner || catalogue.Interface(bridge) != nil {
			continue
		}
		guests = append(guests, p)
		if !slices.Contains(bridges, bridge) {
			bridges = append(bridges, bridge)
		}
	}
	uplink := uplinkOf(runner)
	at, parameters := uplink, map[string]string{"mtu": fmt.Sprint(v.pathMTU(uplink))}
	switch {
	case len(bridges) == 1:
		at = bridges[0]
	case len(bridges) == 0:
		parameters["how"] = catalogue.Link
		guests = []model.Place{v.runner()}
	}
	if at == "" {
		return
	}
	parameters["interface"] = at
	h.test(catalogue.Named(catalogue.MTUMatch, parameters), guests...)
	// Only what the remedy can reach has to follow it.
	var rest []string
	h.Explains = nil
	for _, r := range hung {
		if slices.Contains(guests, r.Place) {
			h.Explains = append(h.Explains, r.Ref())
		} else {
			rest = append(rest, r.Ref())
		}
	}
	known := set(slices.Concat(h.Explains, rest, h.Follows))
	for _, e := range h.Finding.Evidence[0].Refs {
		if !known[e] {
			known[e] = true
			rest = append(rest, e)
		}
	}
	h.Follows = append(h.Follows, rest...)
}

// pathMTU is the uplink's where it is smaller than usual, else what is always safe.
func (v *view) pathMTU(uplink string) int {
	for _, i := range v.facts(v.runner()).Interfaces {
		if i.Name == uplink && i.MTU >= 576 && i.MTU < 1500 {
			return i.MTU
		}
	}
	return safeMTU
}
