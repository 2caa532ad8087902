package diagnose

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/remedy/catalogue"
)

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
	if k.Fate == model.Exempted || k.Fate == model.Translated && k.Rule.Hook == hookPostrouting && k.Rule.Priority >= sourceNAT && len(k.bridges) == 1 && !k.six() {
		// To accept them there is what is wrong, or may leave them without any translation;
		// what nat-on adds translates before that.
		if len(k.bridges) != 1 {
			return model.Remedy{}, false
		}
		return v.natRemedy(k.bridges[0], k.places[0])
	}
	parameters := map[string]string{"table": k.Rule.Family + " " + k.Rule.Table, "chain": k.Rule.Chain}
	if k.Rule.Handle != 0 {
		parameters["handle"] = strconv.FormatUint(k.Rule.Handle, 10)
	}
	if program, ok := map[string]string{"ip": "iptables", "ip6": "ip6tables"}[k.Rule.Family]; ok && k.Rule.XTables {
		if parameters["program"] = program; k.Rule.Legacy {
			parameters["program"] += "-" + catalogue.Legacy
		}
		if k.Rule.Handle != 0 {
			parameters["index"] = strconv.Itoa(k.Rule.Index + 1)
		}
	}
	if !k.matches(parameters, v.guestNetworks(k)) {
		return model.Remedy{}, false
	}
	if f := v.facts(v.runner()); f != nil {
		k.narrow(parameters, uplinkOf(f))
	}
	remedy := catalogue.Named(catalogue.AcceptBefore, parameters)
	if words := ownersWay(*k.Rule, k.bridges); words != "" {
		remedy.Why += " " + words
	}
	return remedy, true
}

// sourceNAT is the priority of chains that translate sources (srcnat).
const sourceNAT = 100

// guestNetworks are the networks of the bridges of a killer, with commas between them; empty
// where its packets do not have guests' addresses, as they are translated, or are the runner's.
func (v *view) guestNetworks(k killer) string {
	runner := v.facts(v.runner())
	if runner == nil || k.own || len(k.bridges) == 0 || k.leaving() {
		return ""
	}
	var all []netip.Prefix
	for _, i := range runner.Interfaces {
		if slices.Contains(k.bridges, i.Name) {
			all = append(all, networks(&model.Facts{Interfaces: []model.Interface{i}})...)
		}
	}
	used := map[netip.Prefix]bool{}
	for _, f := range k.Flows {
		guest := f.Source.Addr()
		if k.Reply {
			guest = f.Destination.Addr()
		}
		i := slices.IndexFunc(all, func(n netip.Prefix) bool { return n.Contains(guest.Unmap().WithZone("")) })
		if i < 0 || guest.IsLinkLocalUnicast() {
			return ""
		}
		used[all[i].Masked()] = true
	}
	var texts []string
	for n := range used {
		texts = append(texts, n.String())
	}
	slices.Sort(texts)
	if len(texts) > catalogue.MaxAddresses {
		return ""
	}
	return strings.Join(texts, ",")
}

// leaving reports whether its packets were on their way out by another interface than the
// guests': NAT of their sources comes before that.
func (k killer) leaving() bool {
	return k.Rule.Hook == hookEgress && !k.Reply && !slices.Contains(k.bridges, k.Out)
}

// matches limits what is accepted to what was dropped: by the bridge where the hook
// knows it, else by its networks, else by the addresses at the other end. It is false
// where nothing is known.
func (k killer) matches(parameters map[string]string, networks string) bool {
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
		if k.Reply && hook == hookInput && !k.general() {
			parameters["state"] = "answers"
		}
		return by(end, remotes)
	case hook == hookForward && k.Reply:
		parameters["state"] = "answers"
		return by("out", bridges)
	case hook == hookForward:
		parameters["answers"] = "yes"
		return by("in", bridges)
	case networks != "" && (k.Rule.Family == "bridge" || k.Rule.Family == "netdev" || hook == hookPostrouting && !k.Reply):
		// In tables of frames a bridge's name takes a module that not every kernel has.
		return by(map[bool]string{false: "from", true: "to"}[k.Reply], networks)
	case k.Rule.Family == "bridge":
		return by(end, remotes)
	case hook == hookInput && !k.Reply:
		if ports := cmp.Or(k.services(), k.ports()); ports != "" {
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

// maxFlows is how many flows are told of one killer: of that many some may be missing.
const maxFlows = 64

// narrow leaves out of what is accepted what the rule did not drop: other ports than
// those that it was seen to select, and what meets its chain on another hook.
func (k killer) narrow(parameters map[string]string, uplink string) {
	switch {
	case !k.Rule.Shared || k.Reply || parameters["in"] == "":
	case k.Rule.Hook == hookForward && parameters["out"] == "" && catalogue.Interface(uplink) == nil:
		parameters["out"] = uplink // on input there is none
	case k.Rule.Hook == hookInput && parameters["to"] == "" && k.remotes() != "":
		parameters["to"] = k.remotes()
	}
	if ports := k.ports(); k.Rule.Ports && !k.Reply && ports != "" && parameters["ports"] == "" && len(k.Flows) < maxFlows {
		parameters["ports"] = ports
		delete(parameters, "answers") // come from that port, and pass
		delete(parameters, "neighbours")
	}
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
		if f.Protocol != protoICMP && (f.Protocol != protoUDP && f.Protocol != protoTCP || f.To().Port() != portDNS && f.To().Port() != portDHCP) {
			return ""
		}
	}
	if k.Rule.Family == "ip6" {
		open = []string{"udp/547", "udp/53", "tcp/53", "ipv6-icmp"}
	}
	return strings.Join(open, ",")
}

// ports are those of the runner that the packets are to; empty for too many.
func (k killer) ports() string {
	var all []string
	for _, f := range k.Flows {
		port := f.Protocol
		if n := f.To().Port(); n != 0 && (port == protoTCP || port == protoUDP) {
			port += "/" + strconv.Itoa(int(n))
		}
		if !slices.Contains(all, port) {
			all = append(all, port)
		}
	}
	known := []string{protoTCP, protoUDP, protoICMP, protoICMPv6}
	if len(all) > 16 || slices.ContainsFunc(all, func(p string) bool {
		name, _, _ := strings.Cut(p, "/")
		return !slices.Contains(known, name)
	}) {
		return ""
	}
	return strings.Join(all, ",")
}

// ownersWay says how the owner of a rule is told to make the change last.
func ownersWay(r model.FirewallRule, bridges []string) string {
	if len(bridges) == 0 || slices.ContainsFunc(bridges, func(b string) bool { return catalogue.Interface(b) != nil }) {
		return ""
	}
	var commands []string
	switch r.Owner {
	case "ufw":
		for _, b := range bridges {
			commands = append(commands, "`ufw allow in on "+b+"`", "`ufw route allow in on "+b+"`", "`ufw route allow out on "+b+"`")
		}
	case "firewalld":
		for _, b := range bridges {
			commands = append(commands, "`firewall-cmd --permanent --zone=trusted --add-interface="+b+"`")
		}
		commands = append(commands, "`firewall-cmd --reload`")
	default:
		return ""
	}
	return fmt.Sprintf("To make it last, tell %s: %s.", r.Owner, strings.Join(commands, ", "))
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

// general reports whether packets of any protocol end there.
func (k killer) general() bool {
	return k.Rule.Handle == 0 || slices.ContainsFunc(k.Flows, func(f model.PacketFlow) bool { return f.Protocol != k.Flows[0].Protocol })
}
