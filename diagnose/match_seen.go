package diagnose

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/nestlab/nestlab/model"
)

// causeOf names what a sighting is; empty for what is told of better elsewhere.
func (v *view) causeOf(w *model.Watch, s model.Sighting) string {
	if s.Rule != nil {
		return causeOfRule(s)
	}
	switch s.Kernel.Reason {
	case "PKT_TOO_BIG", "NO_SOCKET":
		return ""
	case "NOT_SPECIFIED":
		if s.Kernel.Function == "tcp_v4_rcv" || s.Kernel.Function == "tcp_v6_rcv" {
			return "" // it arrived: for a connection that was closed already
		}
	case "IPV6DISABLED":
		if v.round != "" && v.round != model.RoundBaseline {
			return "" // it was switched off for a test
		}
	case "IP_RPFILTER":
		return CauseRPFilter
	case "OTHERHOST":
		if v.forRunner(w.Place, s) {
			return CauseOtherMAC
		}
		return "" // a copy of what is for somebody else on the link
	case "QDISC_DROP", "TC_INGRESS", "TC_EGRESS":
		return CauseTrafficControl
	case "XFRM_POLICY":
		return CauseIPsecPolicy
	case "NETFILTER_DROP":
		if w.Sightings.Conntrack.Full() {
			return CauseConntrackFull
		}
	case "IP_INADDRERRORS":
		if on, known := forwardingOf(w, s.Kernel.Interface); known && !on || s.Kernel.Function == "ip6_forward" {
			return CauseIPForwardOff
		}
	}
	return CauseDroppedByKernel
}

// causeOfRule names a rule or policy by its hook, its owner and what it dropped.
func causeOfRule(s model.Sighting) string {
	policy := s.Rule.Handle == 0
	switch {
	case s.Fate == model.Redirected:
		return CauseRedirected
	case s.Fate.Altered():
		return CauseAltered
	case policy && s.Rule.Table == "filter" && s.Rule.Chain == "FORWARD" && s.Rule.Owner == ownerDocker:
		return CauseDockerForwardDrop
	case s.Rule.Hook == hookForward && !policy && aboutNames(*s.Rule):
		return CauseDNSBlocked
	case s.Rule.Hook == hookForward:
		return CauseFirewallForwardDrop
	case s.Rule.Hook == hookInput && s.Carries(portDHCP, protoUDP):
		return CauseDHCPBlocked
	case s.Rule.Hook == hookInput && s.To(netip.Addr{}, portDNS, protoUDP, protoTCP):
		return CauseDNSBlocked
	}
	return CauseDroppedByRule
}

// The hooks, and an owner, as sightings name them.
const (
	hookPrerouting, hookInput, hookForward = "prerouting", "input", "forward"
	hookOutput, hookPostrouting            = "output", "postrouting"
	hookEgress                             = "egress"

	ownerDocker, ownerNestlab = "Docker", "nestlab"
)

// forwardingOf is whether an interface forwards IPv4, as it was while a place was probed.
func forwardingOf(w *model.Watch, name string) (on, known bool) {
	for _, i := range w.Sightings.Interfaces {
		if i.Interface == name {
			return i.Forwarding4, true
		}
	}
	return false, false
}

// seenHypotheses are one for each killer. Each is tested by a change to that killer and
// to nothing else.
func (v *view) seenHypotheses() []Hypothesis {
	var all []Hypothesis
	for _, k := range v.killers() {
		if len(v.applied) > 0 && k.Rule != nil && k.Rule.Owner == ownerNestlab {
			continue // the test's own
		}
		h := Hypothesis{Finding: model.Finding{Cause: k.cause, Confidence: model.Supported}, unnamed: k.cause == CauseDroppedByKernel, seen: &k.Sighting}
		for _, p := range k.places {
			h.Finding.Environments = append(h.Finding.Environments, p.String())
		}
		h.Explains = refsOf(k.failed)
		h.follow(v.dependents(k.places))
		if k.To(netip.Addr{}, portDNS, protoUDP, protoTCP) {
			h.follow(filter(v.unexplained(), func(r model.Result) bool {
				return slices.Contains(k.places, r.Place) && len(r.Detail.Dials) == 0 && slices.Contains(unresolved, r.Reason)
			}))
		}
		h.Finding.Evidence = v.killerEvidence(k)
		if !k.six() { // hops count IPv4
			h.Finding.Evidence = append(h.Finding.Evidence, v.hopEvidence(k.places)...)
		}
		if r, ok := v.cureOf(k); ok {
			h.test(r, k.places...)
			h.Intervention.Restart = slices.ContainsFunc(k.places, v.addressless)
			h.Intervention.Strangers = k.discovers() != ""
		}
		all = append(all, h)
	}
	return all
}

// six reports whether all packets that ended there are IPv6's.
func (k killer) six() bool {
	return !slices.ContainsFunc(k.Flows, func(f model.PacketFlow) bool { return f.Source.Addr().Is4() || f.Destination.Addr().Is4() })
}

// addressless reports whether a place has no IPv4 address.
func (v *view) addressless(p model.Place) bool {
	f := v.facts(p)
	return f != nil && len(f.Interfaces) > 0 && !hasAddress(f)
}

// killerEvidence says what was dropped of each place, and which failures that is.
func (v *view) killerEvidence(k killer) []model.Evidence {
	var all []model.Evidence
	for i, p := range k.places {
		loss := k.lossAt(p)
		all = append(all, model.Evidence{
			Refs: []string{k.watches[i].Ref()}, Loss: &loss, Text: fmt.Sprintf("while %s was probed, %s", p, strings.Join(append([]string{lossText(loss)}, v.behind(k, k.watches[i])...), "; ")),
		})
		mine := filter(k.failed, within(p))
		all = append(all, model.Evidence{Refs: refsOf(mine), Text: fmt.Sprintf("in %s %s for want of these packets (%s)", p, failuresText(mine), probesText(mine))})
	}
	return all
}

// lossAt is what a killer dropped of one place.
func (k killer) lossAt(p model.Place) model.Loss { return lossOfSighting(k.Sighting, k.dropped[p]) }

func sameKiller(a, b model.Sighting) bool {
	if (a.Rule == nil) != (b.Rule == nil) || a.Reply != b.Reply || (a.Fate.Altered() || b.Fate.Altered()) && a.Fate != b.Fate {
		return false
	}
	if a.Rule != nil {
		return *a.Rule == *b.Rule
	}
	return *a.Kernel == *b.Kernel
}

func lossOfSighting(s model.Sighting, packets uint64) model.Loss {
	loss := model.Loss{Point: model.PointKernel, Fate: s.Fate, Kind: kindOf(s), Reply: s.Reply}
	drop := model.Drop{Packets: packets, Reject: s.Fate == model.Rejected, Kernel: s.Kernel}
	if s.Redirect.IsValid() {
		drop.Redirect = s.Redirect.String()
	}
	if s.Fate.Altered() || s.Fate == model.Queued {
		drop.Alters, drop.Queue, drop.Reader = s.Fate, s.Queue, s.Reader
	}
	if r := s.Rule; r != nil {
		loss.Point = model.PointRules
		if r.Hook == hookForward {
			loss.Point = model.PointForward
		}
		drop.Backend, drop.Family, drop.Table, drop.Chain, drop.Rule, drop.Hook, drop.Owner = backendOf(*r), r.Family, r.Table, r.Chain, r.Text, r.Hook, r.Owner
	}
	loss.Drops = []model.Drop{drop}
	return loss
}

func backendOf(r model.FirewallRule) string {
	if r.Legacy {
		return "iptables-legacy"
	}
	if r.XTables {
		return "iptables-nft"
	}
	return "nftables"
}

// kindOf is what all of its packets are of; any where they are of several kinds.
func kindOf(s model.Sighting) model.PacketKind {
	kind := model.AnyPacket
	for i, f := range s.Flows {
		one := model.Sighting{Reply: s.Reply, Flows: []model.PacketFlow{f}}
		of := model.AnyPacket
		switch {
		case one.Carries(portDHCP, protoUDP):
			of = model.DHCP
		case f.Protocol == protoTCP && f.Stage == model.Opening:
			of = model.TCPSYN
		case one.To(netip.Addr{}, portDNS, protoUDP):
			of = model.DNSQuery
		}
		if i > 0 && of != kind {
			return model.AnyPacket
		}
		kind = of
	}
	return kind
}
