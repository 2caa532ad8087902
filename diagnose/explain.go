package diagnose

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/nestlab/nestlab/model"
)

// affected are the places that a finding names.
func (v *view) affected(f model.Finding) []model.Place {
	return filter(v.places(), func(p model.Place) bool { return slices.Contains(f.Environments, p.String()) })
}

// fallen is how many packets of the affected places the policy was seen to drop.
func (v *view) fallen(f model.Finding) (packets uint64, refs []string) {
	for _, p := range v.affected(f) {
		w := v.watch(p)
		if w == nil {
			continue
		}
		if rise, ok := dockerRise(w); ok {
			packets += rise.Packets
			refs = append(refs, w.Ref())
		}
	}
	return packets, refs
}

func summarizeDockerForwardDrop(v *view, f model.Finding) string {
	places := v.affected(f)
	// Of the round that the finding is about, which need not be the first.
	refs := map[string]bool{}
	for _, e := range f.Evidence {
		for _, ref := range e.Refs {
			refs[ref] = true
		}
	}
	silent := filter(v.run.Results, func(r model.Result) bool {
		return refs[r.Ref()] && slices.Contains(places, r.Place) && tcpLike(r) && r.Reason == model.ConnectTimeout
	})
	var b strings.Builder
	who := placesText(places)
	if n, _ := v.fallen(f); n > 0 {
		fmt.Fprintf(&b, "While %s %s probed, %s fell to the policy DROP of the runner's FORWARD chain, "+
			"which has Docker's DOCKER-USER beside it.", who, was(len(places)), count(int(n), "packet"))
	} else {
		fmt.Fprintf(&b, "The policy of the runner's FORWARD chain is DROP, with Docker's DOCKER-USER beside it, "+
			"and %s %s behind it.", who, is(len(places)))
	}
	b.WriteString(v.noneLeft(places))
	fmt.Fprintf(&b, " %s from there got no answer, though the runner makes the same ones.", count(len(silent), "connection"))
	if at := v.dnsOnBridge(places); at != "" {
		fmt.Fprintf(&b, " DNS works because the resolver is the runner's own address on %s (INPUT, not FORWARD).", at)
	}
	b.WriteString(proofText(f))
	return b.String()
}

// noneLeft is the sentence that no connection of the places got as far as the
// uplink, where that was watched.
func (v *view) noneLeft(places []model.Place) string {
	inside, name := uint64(0), ""
	for _, p := range places {
		w := v.watch(p)
		if w == nil {
			return ""
		}
		uplink, ok := w.Uplink()
		bridge, _ := v.attached(p)
		hop, seen := w.Hop(bridge)
		if !ok || !seen || uplink.Place.Out+uplink.Runner.SYN > 0 {
			return ""
		}
		inside, name = inside+hop.Place.SYN, uplink.Interface
	}
	if inside == 0 {
		return ""
	}
	return fmt.Sprintf(" Of %s that reached the runner none left on its uplink %s.", count(int(inside), "TCP opening"), name)
}

// proofText is the sentence about the intervention.
func proofText(f model.Finding) string {
	switch {
	case f.Confidence == model.Proven:
		return fmt.Sprintf(" Proven: %s.", f.Proof.Text)
	case f.Proof != nil:
		return fmt.Sprintf(" Not proven: %s.", f.Proof.Text)
	default:
		return " Not proven: no intervention was made."
	}
}

// dnsOnBridge is the bridge whose own address answers the names of all places.
func (v *view) dnsOnBridge(places []model.Place) string {
	runner, found := v.facts(v.runner()), ""
	for _, p := range places {
		bridge, _ := v.attached(p)
		f := v.facts(p)
		if bridge == "" || f == nil || len(f.Resolvers) == 0 || len(v.resolving(p)) == 0 {
			return ""
		}
		i := slices.IndexFunc(runner.Interfaces, func(i model.Interface) bool { return i.Name == bridge })
		own := slices.ContainsFunc(runner.Interfaces[i].Addresses, func(a string) bool {
			n, err := netip.ParsePrefix(a)
			return err == nil && n.Addr().String() == f.Resolvers[0]
		})
		if !own || (found != "" && found != bridge) {
			return ""
		}
		found = bridge
	}
	return found
}

// excludedByDockerForwardDrop lists what else was thought of and is not it, each
// only where the run shows it.
func excludedByDockerForwardDrop(v *view, f model.Finding) []model.Refuted {
	all := []model.Refuted{}
	if n, refs := v.fallen(f); n > 0 {
		all = append(all, blockedUpstream(n, refs))
	}
	all = append(all, v.excludedForPlaces(f)...)
	if f.Confidence == model.Proven {
		all = append(all, model.Refuted{Cause: "nat-off", Refs: f.Proof.Rounds[1].Refs,
			Why: "with the remedy alone connections pass: answers find their way back"})
	}
	return all
}

// excludedOnThePath is the same for what another rule of the runner drops.
func excludedOnThePath(v *view, f model.Finding) []model.Refuted {
	packets, refs := uint64(0), []string{}
	for _, p := range v.affected(f) {
		for _, d := range foreignDrops(v.watch(p)) {
			packets += d.Packets
			refs = append(refs, d.watch.Ref())
		}
	}
	return append([]model.Refuted{blockedUpstream(packets, slices.Compact(refs))}, v.excludedForPlaces(f)...)
}

func blockedUpstream(packets uint64, refs []string) model.Refuted {
	return model.Refuted{Cause: "upstream-blocks-guests", Refs: refs, Why: fmt.Sprintf(
		"%s fell on the runner's own forward chain, before they could reach the uplink", count(int(packets), "packet"))}
}

// excludedForPlaces lists what the affected places and the control rule out.
func (v *view) excludedForPlaces(f model.Finding) []model.Refuted {
	places := v.affected(f)
	var all []model.Refuted
	if refs, ok := v.everywhere(places, v.resolving); ok {
		all = append(all, model.Refuted{Cause: "dns", Why: "names resolve in every affected place", Refs: refs})
	}
	controls := filter(v.of(v.runner()), func(r model.Result) bool { return tcpLike(r) && passed(r) })
	if len(controls) > 0 {
		all = append(all, model.Refuted{Cause: "runner-offline", Refs: refsOf(controls),
			Why: "the control passes: the runner reaches what the affected places do not"})
	}
	if refs, ok := v.allLeased(places); ok {
		all = append(all, model.Refuted{Cause: "dhcp-blocked", Refs: refs,
			Why: "every affected place has an IPv4 address and a default route"})
	}
	if r := noIPForwardOff(v); r != nil {
		all = append(all, *r)
	}
	return all
}

// everywhere gathers references of what some look finds in each of the places.
func (v *view) everywhere(places []model.Place, look func(model.Place) []model.Result) ([]string, bool) {
	var refs []string
	for _, p := range places {
		found := look(p)
		if len(found) == 0 {
			return nil, false
		}
		refs = append(refs, refsOf(found)...)
	}
	return refs, len(refs) > 0
}

func (v *view) allLeased(places []model.Place) ([]string, bool) {
	var refs []string
	for _, p := range places {
		f := v.facts(p)
		if f == nil || !leased(f) {
			return nil, false
		}
		refs = append(refs, model.FactsRef(p, factInterfaces), model.FactsRef(p, factRoutes))
	}
	return refs, len(refs) > 0
}
