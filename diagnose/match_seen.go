package diagnose

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/remedy/catalogue"
)

// causeOf names what a sighting is; empty for what is told of better elsewhere.
func (v *view) causeOf(w *model.Watch, s model.Sighting) string {
	if s.Rule != nil {
		return causeOfRule(s)
	}
	switch s.Kernel.Reason {
	case "PKT_TOO_BIG", "NO_SOCKET":
		return ""
	case "IP_RPFILTER":
		return CauseRPFilter
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
	case policy && s.Rule.Table == "filter" && s.Rule.Chain == "FORWARD" && s.Rule.Owner == ownerDocker:
		return CauseDockerForwardDrop
	case s.Rule.Hook == hookForward && !policy && dnsPort.MatchString(s.Rule.Text):
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

	ownerDocker = "Docker"
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
		h := Hypothesis{Finding: model.Finding{Cause: k.cause, Confidence: model.Supported}, unnamed: k.cause == CauseDroppedByKernel}
		for _, p := range k.places {
			h.Finding.Environments = append(h.Finding.Environments, p.String())
		}
		h.Explains = refsOf(k.failed)
		h.follow(v.dependents(k.places))
		h.Finding.Evidence = append(v.killerEvidence(k), v.hopEvidence(k.places)...)
		if r, ok := v.cureOf(k); ok {
			h.test(r, k.places...)
			h.Intervention.Restart = slices.ContainsFunc(k.places, v.addressless)
		}
		all = append(all, h)
	}
	return all
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
			Refs: []string{k.watches[i].Ref()}, Loss: &loss, Text: fmt.Sprintf("while %s was probed, %s", p, lossText(loss)),
		})
		mine := filter(k.failed, within(p))
		all = append(all, model.Evidence{Refs: refsOf(mine), Text: fmt.Sprintf("in %s %s for want of these packets (%s)", p, failuresText(mine), probesText(mine))})
	}
	return all
}

// lossAt is what a killer dropped of one place.
func (k killer) lossAt(p model.Place) model.Loss { return lossOfSighting(k.Sighting, k.dropped[p]) }

func sameKiller(a, b model.Sighting) bool {
	if (a.Rule == nil) != (b.Rule == nil) || a.Reply != b.Reply || (a.Fate == model.Redirected) != (b.Fate == model.Redirected) {
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
	if r.XTables {
		return "iptables-nft"
	}
	return "nftables"
}

func kindOf(s model.Sighting) model.PacketKind {
	switch {
	case s.Carries(portDHCP, protoUDP):
		return model.DHCP
	case slices.ContainsFunc(s.Flows, func(f model.PacketFlow) bool { return f.Protocol == protoTCP && f.Stage == model.Opening }):
		return model.TCPSYN
	case s.To(netip.Addr{}, portDNS, protoUDP):
		return model.DNSQuery
	}
	return model.AnyPacket
}

// cureOf is the change that removes a killer for the places, and nothing else.
func (v *view) cureOf(k killer) (model.Remedy, bool) {
	if k.Rule == nil {
		return v.kernelCure(k)
	}
	if k.cause == CauseDockerForwardDrop && len(k.bridges) == 1 && (k.Rule.Family == "ip" || k.Rule.Family == "ip6") {
		parameters := map[string]string{"bridge": k.bridges[0]}
		if k.Rule.Family == "ip6" {
			parameters["family"] = catalogue.V6
		}
		return catalogue.Named(catalogue.DockerUserAccept, parameters), true
	}
	parameters := map[string]string{"table": k.Rule.Family + " " + k.Rule.Table, "chain": k.Rule.Chain}
	if k.Rule.Handle != 0 {
		parameters["handle"] = strconv.FormatUint(k.Rule.Handle, 10)
	}
	if program, ok := map[string]string{"ip": "iptables", "ip6": "ip6tables"}[k.Rule.Family]; ok && k.Rule.XTables {
		parameters["program"] = program
		if k.Rule.Handle != 0 {
			parameters["index"] = strconv.Itoa(k.Rule.Index + 1)
		}
	}
	if !k.matches(parameters) {
		return model.Remedy{}, false
	}
	remedy := catalogue.Named(catalogue.AcceptBefore, parameters)
	if words := ownersWay(*k.Rule, k.bridges); words != "" {
		remedy.Why += " " + words
	}
	return remedy, true
}

// matches limits what is accepted to what was dropped: by the bridge where the hook
// knows it, else by the addresses at the other end. It is false where nothing is known.
func (k killer) matches(parameters map[string]string) bool {
	bridges := strings.Join(k.bridges, ",")
	remotes := k.remotes()
	by := func(name, value string) bool {
		parameters[name] = value
		if k.general() && (name == "to" || name == "from") {
			parameters["answers"] = "yes" // they would end there next
			if k.Rule.Family != "ip" {
				parameters["neighbours"] = "yes" // by their addresses alone those would not be found
			}
		}
		return value != ""
	}
	end := map[bool]string{false: "to", true: "from"}[k.Reply]
	switch hook := k.Rule.Hook; {
	case k.discovers() != "":
		return k.matchesDiscovery(parameters)
	case len(k.bridges) == 0 || k.own:
		return by(end, remotes)
	case hook == hookForward && k.Reply:
		parameters["state"] = "answers"
		return by("out", bridges)
	case hook == hookForward:
		parameters["answers"] = "yes"
		return by("in", bridges)
	case k.Rule.Family == "bridge": // a bridge's name takes a module that not every kernel has
		return by(end, remotes)
	case hook == hookInput && !k.Reply:
		if ports := k.services(); ports != "" {
			parameters["ports"] = ports
		}
		return by("in", bridges)
	case hook == hookPrerouting && !k.Reply && !k.general(): // answers come in elsewhere
		return by("in", bridges)
	case k.Reply && (hook == hookOutput || hook == hookPostrouting):
		return by("out", bridges)
	}
	return by(end, remotes)
}

// remotes are the addresses at the other end of what failed, with commas between them.
func (k killer) remotes() string {
	var all []string
	addresses := k.Remotes()
	if k.general() { // also those that no packet was sent to yet, as no neighbour was found
		for _, r := range k.failed {
			addresses = append(addresses, r.Tried()...)
		}
	}
	for _, a := range addresses {
		other := k.Rule.Family == "ip6" && a.Is4() || k.Rule.Family == "ip" && a.Is6()
		if text := a.WithZone("").String(); len(all) < catalogue.MaxAddresses && !other && !a.IsUnspecified() && !slices.Contains(all, text) {
			all = append(all, text)
		}
	}
	return strings.Join(all, ",")
}

// services are the ports of the runner that guests need: if one of them is closed to
// them, all are opened, as whoever runs the bridge does.
func (k killer) services() string {
	open := []string{"udp/67", "udp/53", "tcp/53", "icmp"}
	for _, f := range k.Flows {
		if f.Protocol != protoICMP && (f.Protocol != protoUDP && f.Protocol != protoTCP || f.Destination.Port() != portDNS && f.Destination.Port() != portDHCP) {
			return ""
		}
	}
	if k.Rule.Family == "ip6" {
		open = []string{"udp/547", "udp/53", "tcp/53", "ipv6-icmp"}
	}
	return strings.Join(open, ",")
}

// ownersWay says how the owner of a rule is told to make the change last.
func ownersWay(r model.FirewallRule, bridges []string) string {
	if len(bridges) == 0 {
		return ""
	}
	b := bridges[0]
	switch r.Owner {
	case "ufw":
		return fmt.Sprintf("To make it last, tell ufw: `ufw allow in on %s`, `ufw route allow in on %s`, `ufw route allow out on %s`.", b, b, b)
	case "firewalld":
		return fmt.Sprintf("To make it last, tell firewalld: `firewall-cmd --permanent --zone=trusted --add-interface=%s && firewall-cmd --reload`.", b)
	}
	return ""
}

// kernelCure is the setting that a drop beside the rules hangs on.
func (v *view) kernelCure(k killer) (model.Remedy, bool) {
	name := k.Kernel.Interface
	switch k.cause {
	case CauseIPForwardOff:
		if k.Kernel.Function == "ip6_forward" {
			return catalogue.Named(catalogue.IPForwardOn, map[string]string{"family": catalogue.V6}), true
		}
		if on, known := v.forwards(); known && !on {
			return catalogue.Named(catalogue.IPForwardOn, nil), true
		}
		return catalogue.Named(catalogue.InterfaceForwardingOn, map[string]string{"interface": name}), catalogue.Interface(name) == nil
	case CauseConntrackFull:
		most := k.watches[0].Sightings.Conntrack.Max
		return catalogue.Named(catalogue.ConntrackMax, map[string]string{"max": strconv.Itoa(2 * most)}), true
	case CauseRPFilter:
		return catalogue.Named(catalogue.RPFilterLoose, map[string]string{"interface": name}), catalogue.Interface(name) == nil
	}
	return model.Remedy{}, false
}
