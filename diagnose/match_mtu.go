package diagnose

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/remedy/catalogue"
)

// safeMTU is what every path has to carry that carries IPv6 (RFC 8200).
const safeMTU = 1280

func matchMTUBlackhole(v *view) []Hypothesis {
	all := filter(v.failedWith(model.MTU), func(r model.Result) bool { return !trickled(r) })
	made := func(r model.Result) bool { return r.Probe == model.ProbeDockerNetwork }
	hung := filter(all, func(r model.Result) bool { return !made(r) })
	if len(hung) == 0 {
		return v.networkMTU(filter(all, made))
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
	h.follow(filter(all, made))
	v.contradictShaper(&h, places)
	v.mtuRemedy(&h, hung, places)
	if narrow, ok := v.narrowRoute(places); ok {
		h.Finding.Evidence = append([]model.Evidence{narrow.evidence}, h.Finding.Evidence...)
	}
	return []Hypothesis{h}
}

// networkMTU is about networks that a daemon makes: what it was told of its MTU is for
// its default bridge, from where large packets pass.
func (v *view) networkMTU(failed []model.Result) []Hypothesis {
	var all []Hypothesis
	for _, r := range failed {
		path := 0
		if f := v.facts(r.Place); f != nil {
			path = pathMTU(uplinkOf(f), f)
		}
		if n, err := strconv.Atoi(r.Detail.Values["default_mtu"]); err == nil && n < path {
			path = n
		}
		says := fmt.Sprintf("large packets do not pass in a container of %s on a network made by docker network create, whose MTU is %s", r.Place, cmp.Or(r.Detail.Values["path_mtu"], "the usual one"))
		if mtu := r.Detail.Values["default_mtu"]; mtu != "" {
			says += fmt.Sprintf("; \"mtu\": %s in its daemon.json is for the default bridge alone", mtu)
		}
		h := v.symptom(CauseMTUBlackhole, []model.Result{r}, says)
		v.endedOnNetwork(&h, r.Place)
		h.Finding.Title = "Networks made with docker network create have too large an MTU"
		v.networkRemedy(&h, r, path)
		all = append(all, h)
	}
	return all
}

// endedOnNetwork has a rule that was seen to end data of others than the place, as containers
// on its networks are, speak against the size of packets.
func (v *view) endedOnNetwork(h *Hypothesis, p model.Place) {
	w := v.watch(p)
	if w == nil || w.Sightings == nil {
		return
	}
	own := v.addressesOf(p, v.facts(p))
	for _, s := range w.Sightings.Drops {
		for _, f := range s.Flows {
			if local, _ := s.Ends(f); s.Rule != nil && f.Stage == model.Data && !slices.Contains(own, local.Addr()) {
				h.Contradictions = append(h.Contradictions, lossEvidence(w, lossOfSighting(s, s.Packets), fmt.Sprintf("while %s was probed, ", p)))
				return
			}
		}
	}
}

// networkRemedy is for the runner's own daemon, if it knows the key.
func (v *view) networkRemedy(h *Hypothesis, r model.Result, mtu int) {
	if r.Place != v.runner() || mtu == 0 {
		return
	}
	for _, ping := range v.of(r.Place) {
		major, _, _ := strings.Cut(ping.Detail.Values["version"], ".")
		if n, err := strconv.Atoi(major); ping.Probe == model.ProbeDockerPing && err == nil && n >= 24 {
			h.test(catalogue.Named(catalogue.NetworkMTU, map[string]string{"mtu": strconv.Itoa(mtu)}), r.Place)
		}
	}
}

// summarizeMTU tells of networks where it is about them.
func summarizeMTU(v *view, f model.Finding) string {
	means := "The path swallows large packets and does not say so: small ones pass, large ones do not"
	for _, r := range v.run.Results {
		if r.Probe == model.ProbeDockerNetwork && r.Reason == model.MTU && slices.ContainsFunc(f.Evidence, func(e model.Evidence) bool { return slices.Equal(e.Refs, []string{r.Ref()}) }) {
			return "Networks that this dockerd makes have a larger MTU than the path takes, which swallows large packets and does not say so. " +
				"Give each its own: docker network create -o com.docker.network.driver.mtu=MTU, or \"default-network-opts\" in daemon.json since Docker 24. " +
				sentence(f.Evidence[0].Text) + "." + proofText(f)
		}
	}
	return Rule{means: means}.summarize(v, f)
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
	at, parameters := uplink, map[string]string{"mtu": fmt.Sprint(v.mtuFor(places, uplink, runner))}
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
func pathMTU(uplink string, of *model.Facts) int {
	for _, i := range of.Interfaces {
		if i.Name == uplink && i.MTU >= 576 && i.MTU < 1500 {
			return i.MTU
		}
	}
	return safeMTU
}
