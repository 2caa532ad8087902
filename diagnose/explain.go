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

// droppedByDocker is how many packets of the affected places the policy was seen to drop.
func (v *view) droppedByDocker(f model.Finding) (packets uint64, refs []string) {
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
	if n, _ := v.droppedByDocker(f); n > 0 {
		fmt.Fprintf(&b, "While %s %s probed, %s by the runner's FORWARD chain (policy DROP, set by Docker).",
			who, was(len(places)), dropped(n))
	} else {
		fmt.Fprintf(&b, "The policy of the runner's FORWARD chain is DROP, set by Docker, "+
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
	return fmt.Sprintf(" None of the %s that reached the runner left on its uplink %s.", count(int(inside), "TCP SYN"), name)
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
