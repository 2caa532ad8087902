package diagnose

import (
	"fmt"
	"slices"
	"strings"

	"github.com/nestlab/nestlab/model"
)

// lastSeen says in words how far the packets of a place got in a round, and by
// what that was seen. It is false where nothing was counted.
func lastSeen(run model.Run, p model.Place, round string) (model.Evidence, bool) {
	w := watchIn(run, p, round)
	if w == nil {
		return model.Evidence{}, false
	}
	says := fellTo(w)
	if says == "" {
		says = reached(run, w)
	}
	return model.Evidence{Refs: []string{w.Ref()}, Says: says}, says != ""
}

// fellTo names what on the runner was seen to drop packets.
func fellTo(w *model.Watch) string {
	var parts []string
	if rise, ok := dockerRise(w); ok {
		parts = append(parts, fmt.Sprintf("%s fell to the FORWARD policy DROP with Docker's chains", count(int(rise.Packets), "packet")))
	}
	for _, f := range foreignFalls(w) {
		parts = append(parts, fmt.Sprintf("%s fell to %s", count(int(f.packets), "packet"), f.where))
	}
	return strings.Join(parts, ", ")
}

// reached follows the hops from the inside out.
func reached(run model.Run, w *model.Watch) string {
	uplink, ok := w.Uplink()
	if !ok {
		return ""
	}
	v := newView(run, nil)
	bridge := ""
	if name, attached := v.attached(w.Place); attached {
		bridge = name
	}
	inside, seen := w.Hop(bridge)
	out, in := uplink.Runner, inside.Place
	switch {
	case w.Environment != model.EnvRunner && uplink.Place.Out > 0:
		return fmt.Sprintf("packets were last seen leaving on the uplink %s with the place's own address, not translated", uplink.Interface)
	case seen && in.SYN == 0 && in.Out > 0 && out.SYN == 0 && unanswered(run, w):
		return fmt.Sprintf("connections were last seen in the place itself: other packets of it came to %s, and none of them", bridge)
	case seen && in.SYN > 0 && out.SYN == 0:
		return fmt.Sprintf("connections were last seen on %s, none left on the uplink %s", bridge, uplink.Interface)
	case out.SYN > 0 && out.SYNACK == 0:
		return fmt.Sprintf("connections were last seen leaving on the uplink %s, and none was answered", uplink.Interface)
	case out.SYNACK > 0 && seen && in.SYN > 0 && in.SYNACK == 0:
		return fmt.Sprintf("answers were last seen coming back on the uplink %s, none reached %s", uplink.Interface, bridge)
	case out.SYNACK > 0:
		return fmt.Sprintf("connections were answered on the uplink %s", uplink.Interface)
	case seen && in.DNSQueries > 0 && in.DNSAnswers == 0:
		return fmt.Sprintf("DNS queries were last seen on %s, and none was answered", bridge)
	case out.DNSQueries > 0 && out.DNSAnswers == 0:
		return fmt.Sprintf("DNS queries were last seen leaving on the uplink %s, and none was answered", uplink.Interface)
	case seen && in.Out == 0:
		return fmt.Sprintf("no packet of the place was seen on the runner, not even on %s", bridge)
	}
	return ""
}

// unanswered reports whether the place tried connections over IPv4 that nothing
// answered while the watch was kept.
func unanswered(run model.Run, w *model.Watch) bool {
	return slices.ContainsFunc(run.Results, func(r model.Result) bool {
		return r.Place == w.Place && r.Round == w.Round && r.Reason == model.ConnectTimeout && tcpLike(r) && !allIPv6(r)
	})
}

// moved says where the packets of places got to with a change, if they were
// lost somewhere else before.
func moved(run model.Run, places []model.Place, made model.Intervention) string {
	var parts []string
	for _, p := range places {
		before, ok := lastSeen(run, p, made.From())
		now, again := lastSeen(run, p, made.Intervened)
		if !ok || !again || place(before.Says) == place(now.Says) {
			continue
		}
		parts = append(parts, fmt.Sprintf("while %s was probed with it, %s", p, now.Says))
	}
	return strings.Join(parts, "; ")
}

// place is a sentence of lastSeen less its figures: where, not how many.
func place(says string) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return -1
		}
		return r
	}, strings.ReplaceAll(says, "packets", "packet"))
}

// seenLeaving is that connections of a place got past the runner: packets with its
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
		return model.Evidence{Refs: refs, Says: fmt.Sprintf(
			"%s of %s left on the uplink %s with its own address", count(int(uplink.Place.Out), "packet"), p, uplink.Interface)}, true
	}
	bridge, _ := v.attached(p)
	inside, seen := w.Hop(bridge)
	if outweighed && (!seen || uplink.Runner.SYN < inside.Place.SYN) {
		return model.Evidence{}, false
	}
	return model.Evidence{Refs: refs, Says: fmt.Sprintf(
		"while %s was probed, %s left on the uplink %s", p, count(int(uplink.Runner.SYN), "TCP opening"), uplink.Interface)}, true
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
				all = append(all, model.Evidence{Refs: []string{i.Ref()}, Says: fmt.Sprintf(
					"in %s %s left its own NIC %s", p, count(int(nic.Flow.SYN), "TCP opening"), nic.Interface)})
			}
		}
		all = append(all, model.Evidence{Refs: []string{w.Ref()}, Says: fmt.Sprintf(
			"while %s was probed, %s and %s of it reached %s; on the uplink %s %s left, and %s came back",
			p, count(int(inside.Place.SYN), "TCP opening"), plural(int(inside.Place.DNSQueries), "DNS query", "DNS queries"), bridge, uplink.Interface,
			count(int(uplink.Runner.SYN+uplink.Place.SYN), "TCP opening"), count(int(uplink.Runner.SYNACK), "answer"))})
	}
	return all
}
