package diagnose

import (
	"fmt"
	"slices"
	"strings"

	"github.com/nestlab/nestlab/model"
)

// findLoss returns how far the packets of a place got in a round. It is false
// where nothing was counted, or the counters fit nothing.
func findLoss(run model.Run, p model.Place, round string) (model.Evidence, bool) {
	w := watchIn(run, p, round)
	if w == nil {
		return model.Evidence{}, false
	}
	loss, ok := seenLoss(run, w)
	if !ok {
		loss, ok = dropLoss(w)
	}
	if !ok {
		loss, ok = followHops(run, w)
	}
	if !ok {
		return model.Evidence{}, false
	}
	return lossEvidence(w, loss, ""), true
}

// lossEvidence makes the evidence of a loss. Its text is begin and the loss in words.
func lossEvidence(w *model.Watch, l model.Loss, begin string) model.Evidence {
	return model.Evidence{Refs: []string{w.Ref()}, Loss: &l, Text: begin + lossText(l)}
}

// dropLoss returns what on the runner was seen to drop packets; false for nothing.
func dropLoss(w *model.Watch) (model.Loss, bool) {
	drops := dropsOf(w)
	return model.Loss{Point: model.PointForward, Fate: model.Dropped, Kind: model.AnyPacket, Drops: drops}, len(drops) > 0
}

// dropsOf lists what dropped packets during a watch, Docker's policy first.
func dropsOf(w *model.Watch) []model.Drop {
	var drops []model.Drop
	if rise, ok := dockerRise(w); ok {
		drops = append(drops, dropByPolicy(rise))
	}
	for _, d := range foreignDrops(w) {
		drops = append(drops, d.Drop)
	}
	return drops
}

// followHops follows the packets from the inside out.
func followHops(run model.Run, w *model.Watch) (model.Loss, bool) {
	uplink, ok := w.Uplink()
	if !ok {
		return model.Loss{}, false
	}
	bridge, _ := newView(run, nil).attached(w.Place)
	inside, seen := w.Hop(bridge)
	out, in := uplink.Runner, inside.Place
	switch {
	case w.Environment != model.EnvRunner && uplink.Place.Out > 0:
		return model.Loss{Point: model.PointUplink, Fate: model.NotTranslated, Kind: model.AnyPacket, Uplink: uplink.Interface}, true
	case seen && in.SYN == 0 && in.Out > 0 && out.SYN == 0 && unanswered(run, w):
		return model.Loss{Point: model.PointGuest, Fate: model.Vanished, Kind: model.TCPSYN, Bridge: bridge}, true
	case seen && in.SYN > 0 && out.SYN == 0:
		return model.Loss{Point: model.PointBridge, Fate: model.Vanished, Kind: model.TCPSYN, Bridge: bridge, Uplink: uplink.Interface}, true
	case out.SYN > 0 && out.SYNACK == 0 && slices.ContainsFunc(w.Sightings.Refused(), func(r model.Refusal) bool { return r.In == uplink.Interface }):
		return model.Loss{Point: model.PointUplink, Fate: model.Rejected, Kind: model.TCPSYN, Uplink: uplink.Interface}, true
	case out.SYN > 0 && out.SYNACK == 0:
		return model.Loss{Point: model.PointUplink, Fate: model.NotAnswered, Kind: model.TCPSYN, Uplink: uplink.Interface}, true
	case out.SYNACK > 0 && seen && in.SYN > 0 && in.SYNACK == 0:
		return model.Loss{Point: model.PointReturn, Fate: model.Vanished, Kind: model.TCPSYN, Bridge: bridge, Uplink: uplink.Interface}, true
	case out.SYNACK > 0:
		return model.Loss{Point: model.PointUplink, Fate: model.Answered, Kind: model.TCPSYN, Uplink: uplink.Interface}, true
	case seen && in.DNSQueries > 0 && in.DNSAnswers == 0:
		return model.Loss{Point: model.PointBridge, Fate: model.NotAnswered, Kind: model.DNSQuery, Bridge: bridge}, true
	case out.DNSQueries > 0 && out.DNSAnswers == 0:
		return model.Loss{Point: model.PointUplink, Fate: model.NotAnswered, Kind: model.DNSQuery, Uplink: uplink.Interface}, true
	case seen && in.Out == 0:
		return model.Loss{Point: model.PointGuest, Fate: model.Vanished, Kind: model.AnyPacket, Bridge: bridge}, true
	}
	return model.Loss{}, false
}

// unanswered reports whether the place tried connections over IPv4 that nothing
// answered while the watch was kept.
func unanswered(run model.Run, w *model.Watch) bool {
	return slices.ContainsFunc(run.Results, func(r model.Result) bool {
		return r.Place == w.Place && r.Round == w.Round && r.Reason == model.ConnectTimeout && tcpLike(r) && !allIPv6(r)
	})
}

// movement is where the packets of a place got to with a change.
type movement struct {
	place model.Place
	to    model.Evidence
}

// movedWith lists the places whose packets were lost somewhere else before a change. What is
// lost by the change itself got no further.
func movedWith(run model.Run, places []model.Place, made model.Intervention) []movement {
	var all []movement
	for _, p := range places {
		before, ok := findLoss(run, p, made.From())
		now, again := findLoss(run, p, made.Intervened)
		if ok && again && !before.Loss.Same(*now.Loss) && !slices.ContainsFunc(now.Loss.Drops, func(d model.Drop) bool { return d.Owner == ownerNestlab }) {
			all = append(all, movement{p, now})
		}
	}
	return all
}

func movementsText(all []movement) string {
	var parts []string
	for _, m := range all {
		parts = append(parts, fmt.Sprintf("while %s was probed with it, %s", m.place, m.to.Text))
	}
	return strings.Join(parts, "; ")
}

// lossText is a loss in words.
func lossText(l model.Loss) string {
	kind := "connections"
	if l.Kind == model.DNSQuery {
		kind = "DNS queries"
	}
	switch {
	case l.Point == model.PointForward && l.Kind == model.AnyPacket && !traced(l):
		return dropsText(l.Drops)
	case l.Point == model.PointForward || l.Point == model.PointRules || l.Point == model.PointKernel:
		return tracedText(l)
	case l.Point == model.PointGuest && l.Kind == model.AnyPacket:
		return fmt.Sprintf("no IPv4 packet of the environment was seen on the runner, not even on %s", l.Bridge)
	case l.Point == model.PointGuest:
		return fmt.Sprintf("%s were last seen in the environment itself: other packets of it came to %s, and none of them", kind, l.Bridge)
	case l.Point == model.PointReturn:
		return fmt.Sprintf("answers were last seen coming back on the uplink %s, none reached %s", l.Uplink, l.Bridge)
	case l.Point == model.PointBridge && l.Fate == model.NotAnswered:
		return fmt.Sprintf("%s were last seen on %s, and none was answered", kind, l.Bridge)
	case l.Point == model.PointBridge:
		return fmt.Sprintf("%s were last seen on %s, none left on the uplink %s", kind, l.Bridge, l.Uplink)
	case l.Fate == model.NotTranslated:
		return fmt.Sprintf("packets were last seen leaving on the uplink %s with the environment's own address, not translated", l.Uplink)
	case l.Fate == model.Answered:
		return fmt.Sprintf("%s were answered on the uplink %s", kind, l.Uplink)
	case l.Fate == model.Rejected:
		return fmt.Sprintf("%s left on the uplink %s, and were refused behind it", kind, l.Uplink)
	default:
		return fmt.Sprintf("%s were last seen leaving on the uplink %s, and none was answered", kind, l.Uplink)
	}
}

// traced reports whether the packets were followed, not only counted.
func traced(l model.Loss) bool {
	return slices.ContainsFunc(l.Drops, func(d model.Drop) bool { return d.Hook != "" || d.Kernel != nil })
}

// tracedText says of packets that were followed by what they ended.
func tracedText(l model.Loss) string {
	what := map[model.PacketKind]string{model.TCPSYN: "TCP connection", model.DNSQuery: "DNS", model.DHCP: "DHCP"}[l.Kind]
	var parts []string
	for _, d := range l.Drops {
		packets := plural(int(d.Packets), strings.TrimSpace(what+" packet"), strings.TrimSpace(what+" packets"))
		if l.Reply {
			packets += " of the answers"
		}
		verb := "dropped"
		switch {
		case d.Alters == model.Untracked && l.Reply:
			verb = "taken out of connection tracking, and so not translated back,"
		case d.Alters != "" || d.Redirect != "":
			verb = alteredText(d)
		case d.Reject:
			verb = "rejected"
		}
		parts = append(parts, fmt.Sprintf("%s %s %s by %s", packets, was(int(d.Packets)), verb, dropText(d)))
	}
	return strings.Join(parts, ", ")
}

func dropsText(drops []model.Drop) string {
	var parts []string
	for _, d := range drops {
		parts = append(parts, fmt.Sprintf("%s by %s", dropped(d.Packets), dropText(d)))
	}
	return strings.Join(parts, ", ")
}

// dropText names a policy or a rule.
func dropText(d model.Drop) string {
	switch {
	case d.Kernel != nil:
		return kernelText(*d.Kernel)
	case d.Hook != "":
		return ruleText(d)
	case d.Docker:
		return "the FORWARD chain's policy DROP, set by Docker"
	case d.Rule == "":
		return fmt.Sprintf("the policy DROP of chain %s (%s, table %s)", d.Chain, d.Backend, d.Table)
	default:
		return fmt.Sprintf("the rule %q of chain %s (%s, table %s)", d.Rule, d.Chain, d.Backend, d.Table)
	}
}

// ruleText names a rule or policy that packets were followed to.
func ruleText(d model.Drop) string {
	what := "the policy"
	if d.Rule != "" {
		what = fmt.Sprintf("the rule %q", d.Rule)
	}
	owner := ""
	if d.Owner != "" {
		owner = ", " + d.Owner + "'s"
	}
	return fmt.Sprintf("%s of chain %s in table %s %s (%s, hook %s%s)", what, d.Chain, d.Family, d.Table, d.Backend, d.Hook, owner)
}

// kernelText names where the kernel dropped a packet beside the rules.
func kernelText(k model.KernelDrop) string {
	where := ""
	if k.Interface != "" {
		where = " on " + k.Interface
	}
	switch {
	case k.Reason == "IP_RPFILTER":
		return "the reverse path filter" + where
	case k.Reason == "IP_INADDRERRORS" && where == "":
		return "the kernel: it forwards nothing"
	case k.Reason == "IP_INADDRERRORS":
		return "the kernel" + where + ": it does not forward what comes in there"
	case k.Reason == "OTHERHOST":
		return "the kernel" + where + ": their frames are for another MAC address than that of the interface (OTHERHOST)"
	case k.Reason == "TC_INGRESS" || k.Reason == "TC_EGRESS":
		return "a filter of traffic control" + where + " (" + k.Reason + ")"
	case k.Reason == "NETFILTER_DROP":
		return "a netfilter hook that is none of nf_tables" + where + " (iptables-legacy, connection tracking or a BPF program)"
	case k.Reason == "":
		return fmt.Sprintf("the kernel%s (in %s)", where, k.Function)
	}
	return fmt.Sprintf("the kernel%s (%s in %s)", where, k.Reason, k.Function)
}
