package diagnose

import (
	"fmt"

	"github.com/nestlab/nestlab/model"
)

// seenLeaving reports whether connections of a place got past the runner: packets with its
// own address left on the uplink, or openings with the runner's. Those may be of
// anybody who tried the same targets in that time, so that they do not outweigh
// what was read of the place's own packets, unless as many left as came to the bridge.
func (v *view) seenLeaving(p model.Place, w *model.Watch, outweighed bool) (model.Evidence, bool) {
	uplink, ok := w.Uplink()
	if !ok || uplink.Place.Out+uplink.Runner.SYN == 0 {
		return model.Evidence{}, false
	}
	refs := []string{w.Ref()}
	if uplink.Place.Out > 0 {
		return model.Evidence{Refs: refs, Text: fmt.Sprintf(
			"%s of %s left on the uplink %s with its own address", count(int(uplink.Place.Out), "packet"), p, uplink.Interface)}, true
	}
	bridge, _ := v.attached(p)
	inside, seen := w.Hop(bridge)
	if outweighed && (!seen || uplink.Runner.SYN < inside.Place.SYN) {
		return model.Evidence{}, false
	}
	return model.Evidence{Refs: refs, Text: fmt.Sprintf(
		"while %s was probed, %s left on the uplink %s", p, count(int(uplink.Runner.SYN), "TCP SYN"), uplink.Interface)}, true
}

// hopEvidence tells of each place what its own NIC saw leave, and what the runner's
// interfaces saw of it.
func (v *view) hopEvidence(places []model.Place) []model.Evidence {
	var all []model.Evidence
	for _, p := range places {
		w := v.watch(p)
		if w == nil {
			continue
		}
		uplink, ok := w.Uplink()
		if !ok {
			continue
		}
		bridge, _ := v.attached(p)
		inside, seen := w.Hop(bridge)
		if !seen || inside.Interface == uplink.Interface {
			continue
		}
		if i, found := v.run.Inspection(p, v.round); found {
			if nic, counted := i.NIC(); counted {
				all = append(all, model.Evidence{Refs: []string{i.Ref()}, Text: fmt.Sprintf(
					"in %s %s left its own NIC %s", p, count(int(nic.Flow.SYN), "TCP SYN"), nic.Interface)})
			}
		}
		all = append(all, model.Evidence{Refs: []string{w.Ref()}, Text: fmt.Sprintf(
			"while %s was probed, %s and %s of it reached %s; on the uplink %s %s left, and %s came back",
			p, count(int(inside.Place.SYN), "TCP SYN"), plural(int(inside.Place.DNSQueries), "DNS query", "DNS queries"), bridge, uplink.Interface,
			count(int(uplink.Runner.SYN+uplink.Place.SYN), "TCP SYN"), count(int(uplink.Runner.SYNACK), "answer"))})
	}
	return all
}
