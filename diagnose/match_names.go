package diagnose

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/remedy/catalogue"
)

// unresolved are the reasons of a look-up that no resolver has answered.
var unresolved = []model.Reason{model.DNSTimeout, model.DNSServFail, model.DNSRefused}

// matchDNSUpstreamDead takes the runner for the measure: what it cannot resolve
// nothing in it can.
func matchDNSUpstreamDead(v *view) []Hypothesis {
	failed := filter(v.failedWith(unresolved...), func(r model.Result) bool { return !passedIn(v, r) })
	own := filter(failed, func(r model.Result) bool { return r.Place == v.runner() && r.Probe == model.ProbeDNSA })
	if len(own) == 0 {
		return nil
	}
	h := v.symptom(CauseDNSUpstreamDead, failed, fmt.Sprintf("none of the runner's %s was answered", plural(len(own), "look-up", "look-ups")))
	h.contradict(v.resolving(v.runner()), "the runner's resolver answers other questions")
	v.contradictClosed(&h, placesOf(own))
	v.contradictWay(&h, placesOf(own))
	if t, is := v.truncated(v.runner()); is {
		h.Contradictions = append(h.Contradictions, model.Evidence{Refs: t.refs, Text: t.text})
	}
	v.endedHere(&h, own)
	if e, ok := v.noRoute(); ok {
		h.Contradictions = append(h.Contradictions, e)
	}
	if w := v.watch(v.runner()); w != nil {
		if uplink, ok := w.Uplink(); ok && uplink.Runner.DNSQueries > 0 {
			h.Finding.Evidence = append(h.Finding.Evidence, model.Evidence{Refs: []string{w.Ref()}, Text: fmt.Sprintf(
				"on the uplink %s %s left, and %s came back", uplink.Interface,
				plural(int(uplink.Runner.DNSQueries), "DNS query", "DNS queries"), count(int(uplink.Runner.DNSAnswers), "answer"))})
		}
	}
	return []Hypothesis{h}
}

// endedHere has what the runner's own questions, or the answers to them, were seen to end by
// speak against a resolver that does not answer.
func (v *view) endedHere(h *Hypothesis, own []model.Result) {
	for _, k := range v.killers() {
		if (k.Rule != nil || k.Reply || k.cause != CauseDroppedByKernel) && slices.ContainsFunc(own, func(r model.Result) bool { return k.refs[r.Ref()] }) {
			h.Contradictions = append(h.Contradictions, lossEvidence(k.watches[0], k.lossAt(k.places[0]), "while "+k.places[0].String()+" was probed, "))
			return
		}
	}
}

// passedIn reports whether names resolve in the place of a result.
func passedIn(v *view, r model.Result) bool { return len(v.resolving(r.Place)) > 0 }

// matchDNSBlocked makes one hypothesis for each bridge.
func matchDNSBlocked(v *view) []Hypothesis {
	var bridges []string
	failed := map[string][]model.Result{}
	for _, r := range v.failedWith(unresolved...) {
		bridge, ok := v.attached(r.Place)
		if !ok || passedIn(v, r) {
			continue
		}
		if !slices.Contains(bridges, bridge) {
			bridges = append(bridges, bridge)
		}
		failed[bridge] = append(failed[bridge], r)
	}
	var all []Hypothesis
	for _, bridge := range bridges {
		all = append(all, v.dnsBlockedOn(bridge, failed[bridge]))
	}
	return all
}

func (v *view) dnsBlockedOn(bridge string, failed []model.Result) Hypothesis {
	h := v.symptom(CauseDNSBlocked, failed, fmt.Sprintf("no name resolves behind %s", bridge))
	if own := v.resolving(v.runner()); len(own) > 0 {
		h.Finding.Evidence = append(h.Finding.Evidence, model.Evidence{Refs: refsOf(own), Text: "names resolve on the runner"})
	} else {
		h.Contradictions = append(h.Contradictions, model.Evidence{Refs: refsOf(v.of(v.runner())), Text: "names do not resolve on the runner either"})
	}
	for _, o := range overlaps(v.facts(v.runner())) {
		if o.bridge.Name != bridge || !slices.ContainsFunc(failed, func(r model.Result) bool { return v.lostIn(o, r) }) {
			continue
		}
		h.Contradictions = append(h.Contradictions, model.Evidence{Refs: []string{model.FactsRef(v.runner(), factInterfaces)},
			Text: fmt.Sprintf("the network of %s is that of %s as well: the resolver may be there", bridge, o.other.Name)})
	}
	for _, p := range placesOf(failed) {
		f := v.facts(p)
		if e, ok := noAddress(p, f); ok {
			h.Contradictions = append(h.Contradictions, e)
		}
		w := v.watch(p)
		if w == nil {
			continue
		}
		if e, ok := v.lostOnTheWay(p, w); ok && resolvesOutside(f) {
			h.Contradictions = append(h.Contradictions, e)
		}
		if hop, ok := w.Hop(bridge); ok && hop.Place.DNSQueries > 0 {
			h.Finding.Evidence = append(h.Finding.Evidence, model.Evidence{Refs: []string{w.Ref()}, Text: fmt.Sprintf(
				"while %s was probed, %s of it reached %s, and %s came back", p,
				plural(int(hop.Place.DNSQueries), "DNS query", "DNS queries"), bridge, count(int(hop.Place.DNSAnswers), "answer"))})
		}
		for _, d := range dnsDrops(w) {
			h.Finding.Evidence = append(h.Finding.Evidence, lossEvidence(w, d.loss(), fmt.Sprintf("while %s was probed, ", p)))
		}
	}
	v.unservedIn(&h, placesOf(failed), portDNS)
	v.contradictWay(&h, placesOf(failed))
	v.contradictClosed(&h, placesOf(failed))
	v.contradictAnswered(&h, placesOf(failed))
	if catalogue.Interface(bridge) == nil {
		h.test(catalogue.Named(catalogue.DNSForwarder, map[string]string{"bridge": bridge}), placesOf(failed)...)
	}
	return h
}

// lostOnTheWay reports whether questions to a resolver out there are lost with all else.
func (v *view) lostOnTheWay(p model.Place, w *model.Watch) (model.Evidence, bool) {
	refs := []string{w.Ref()}
	if on, known := v.forwards(); known && !on {
		return model.Evidence{Refs: []string{model.FactsRef(v.runner(), factIPForward)}, Text: "ip_forward is off on the runner"}, true
	}
	if uplink, ok := w.Uplink(); ok && (uplink.Place.Out > 0 || uplink.Runner.DNSQueries > 0 && !v.strayQueries(p, w, uplink)) {
		return model.Evidence{Refs: refs, Text: fmt.Sprintf("DNS queries of %s left on the uplink %s", p, uplink.Interface)}, true
	}
	if _, rose := dockerRise(w); rose || len(foreignDrops(w)) > len(dnsDrops(w)) {
		loss, _ := dropLoss(w)
		return lossEvidence(w, loss, fmt.Sprintf("while %s was probed, ", p)), true
	}
	return model.Evidence{}, false
}

// strayQueries reports whether the runner's own may have left: questions of the place were dropped by
// a rule about DNS, and fewer left than came to its bridge.
func (v *view) strayQueries(p model.Place, w *model.Watch, uplink model.Hop) bool {
	bridge, _ := v.attached(p)
	inside, seen := w.Hop(bridge)
	return seen && len(dnsDrops(w)) > 0 && uplink.Runner.DNSQueries < inside.Place.DNSQueries
}

// dnsPort is a rule's match of the port of DNS, as nft and iptables show it.
var dnsPort = regexp.MustCompile(`\bd(port|ports|pt:?) (\{ ?)?53\b`)

// dnsDrops lists the drops of rules that are about DNS.
func dnsDrops(w *model.Watch) []foreignDrop {
	return filter(foreignDrops(w), func(d foreignDrop) bool { return dnsPort.MatchString(d.Rule) })
}

func matchDHCPBlocked(v *view) []Hypothesis {
	var failed []model.Result
	var refs []string
	for _, p := range v.places() {
		f := v.facts(p)
		if !bridged(p) || f == nil || len(f.Interfaces) == 0 || hasAddress(f) {
			continue
		}
		failed = append(failed, filter(v.unexplained(), func(r model.Result) bool { return r.Place == p })...)
		refs = append(refs, model.FactsRef(p, factInterfaces))
	}
	if len(failed) == 0 {
		return nil
	}
	h := v.symptom(CauseDHCPBlocked, failed, "nothing works there, as no packet can be sent")
	places := placesOf(failed)
	h.contradict(filter(v.base, func(r model.Result) bool {
		network := r.Probe == model.ProbeDNSA || tcpLike(r)
		return network && passed(r) && slices.Contains(places, r.Place)
	}), "something is answered there all the same")
	h.Finding.Evidence = append([]model.Evidence{{Refs: refs,
		Text: fmt.Sprintf("%s got no IPv4 address", placesText(placesOf(failed)))}}, h.Finding.Evidence...)
	v.unservedIn(&h, places, portDHCP)
	v.offered(&h, places)
	v.contradictReached(&h, places)
	v.contradictWay(&h, places)
	if bridge, ok := v.guestBridge(); ok {
		h.test(catalogue.Named(catalogue.DHCPAccept, map[string]string{"bridge": bridge}), placesOf(failed)...)
		h.narrow(failed, func(r model.Result) bool { return r.Probe == model.ProbeDNSA || tcpLike(r) })
	}
	return []Hypothesis{h}
}

// guestBridge is the runner's one bridge that is not Docker's: a guest without an
// address does not tell which one it is behind.
func (v *view) guestBridge() (string, bool) {
	runner := v.facts(v.runner())
	if runner == nil {
		return "", false
	}
	bridges := filter(runner.Interfaces, func(i model.Interface) bool {
		return i.Type == "bridge" && !v.dockerBridge(i.Name) && catalogue.Interface(i.Name) == nil
	})
	used := filter(bridges, func(b model.Interface) bool {
		return slices.ContainsFunc(runner.Interfaces, func(i model.Interface) bool { return i.Master == b.Name })
	})
	if len(used) > 0 {
		bridges = used
	}
	if len(bridges) != 1 {
		return "", false
	}
	return bridges[0].Name, true
}

func hasAddress(f *model.Facts) bool {
	return slices.ContainsFunc(networks(f), func(n netip.Prefix) bool {
		a := n.Addr()
		return a.Is4() && !a.IsLoopback() && !a.IsLinkLocalUnicast()
	})
}
