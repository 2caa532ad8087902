package catalogue

import "strings"

// Match selects packets of one kind; empty fields select all.
type Match struct {
	In, Out  string // interfaces
	From, To string // addresses or networks
	Protocol string // udp, tcp, icmp, ipv6-icmp or arp
	Port     string // of the destination; of ICMP the type
	Answers  bool   // packets of connections that are there already
}

// ARP is a protocol for tables of all kinds of frames.
const ARP = "arp"

// HasTypes reports whether the protocol has types instead of ports.
func (m Match) HasTypes() bool { return m.Protocol == "icmp" || m.Protocol == "ipv6-icmp" }

// Matches are the packets that accept-before accepts, by its parameters: each port from
// each address to each address, and the answers that leave by the interface that they
// came in by.
func Matches(parameters map[string]string) []Match {
	list := func(name string, check func(string) error) []string { // one empty word for none
		if value := parameters[name]; check(value) != nil {
			return []string{value}
		}
		return strings.Split(parameters[name], ",")
	}
	var all []Match
	for _, port := range list("ports", ports) {
		protocol, number := port, ""
		if ports(port) == nil {
			protocol, number, _ = strings.Cut(port, "/")
		}
		for _, from := range list("from", addresses) {
			for _, to := range list("to", addresses) {
				for _, in := range list("in", interfaces) {
					for _, out := range list("out", interfaces) {
						all = append(all, Match{
							In: in, Out: out, From: from, To: to, Protocol: protocol, Port: number, Answers: parameters["state"] == stateAnswers,
						})
					}
				}
			}
		}
	}
	if parameters["answers"] == "yes" {
		all = append(all, answersOf(parameters, list)...)
	}
	if parameters["neighbours"] == "yes" {
		all = append(all, Match{Protocol: "ipv6-icmp", Port: "135"}, Match{Protocol: "ipv6-icmp", Port: "136"})
		if family, _, _ := strings.Cut(parameters["table"], " "); family == "bridge" || family == "netdev" {
			all = append(all, Match{Protocol: ARP})
		}
	}
	return all
}

// answersOf are the answers to what comes in by interfaces, or to what is from or to
// addresses.
func answersOf(parameters map[string]string, list func(string, func(string) error) []string) []Match {
	var all []Match
	if parameters["in"] != "" {
		for _, in := range list("in", interfaces) {
			all = append(all, Match{Out: in, Answers: true})
		}
		return all
	}
	for _, to := range list("to", addresses) {
		if to != "" {
			all = append(all, Match{From: to})
		}
	}
	for _, from := range list("from", addresses) {
		if from != "" {
			all = append(all, Match{To: from})
		}
	}
	return all
}

// stateAnswers limits what is accepted to connections that are there already.
const stateAnswers = "answers"

// NFT is the match in nft's words for a table of the family.
func (m Match) NFT(family string) string {
	var words []string
	name := func(side, value string) {
		key := map[string]string{"in": "iifname", "out": "oifname"}[side]
		if family == "bridge" {
			key = map[string]string{"in": "ibrname", "out": "obrname"}[side]
		}
		words = append(words, key, `"`+value+`"`)
	}
	if m.In != "" {
		name("in", m.In)
	}
	if m.Out != "" {
		name("out", m.Out)
	}
	for _, end := range []struct{ key, value string }{{"saddr", m.From}, {"daddr", m.To}} {
		if end.value == "" {
			continue
		}
		ip := "ip"
		if n, err := ParseNetwork(end.value); err == nil && n.Addr().Is6() {
			ip = "ip6"
		}
		words = append(words, ip, end.key, end.value)
	}
	switch {
	case m.Protocol == ARP:
		words = append(words, "meta protocol arp")
	case m.Port != "" && m.HasTypes():
		words = append(words, map[string]string{"icmp": "icmp", "ipv6-icmp": "icmpv6"}[m.Protocol], "type", m.Port)
	case m.Port != "":
		words = append(words, m.Protocol, "dport", m.Port)
	case m.Protocol != "":
		words = append(words, "meta l4proto", m.Protocol)
	}
	if m.Answers {
		words = append(words, "ct state established,related")
	}
	return strings.Join(append(words, "accept"), " ")
}

// IPTables is the match in the words of iptables.
func (m Match) IPTables() []string {
	var words []string
	for _, w := range [][2]string{{"-i", m.In}, {"-o", m.Out}, {"-s", m.From}, {"-d", m.To}, {"-p", m.Protocol}, {m.portOption(), m.Port}} {
		if w[1] != "" {
			words = append(words, w[0], w[1])
		}
	}
	if m.Answers {
		words = append(words, "-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED")
	}
	return append(words, "-j", "ACCEPT")
}

func (m Match) portOption() string {
	switch m.Protocol {
	case "icmp":
		return "--icmp-type"
	case "ipv6-icmp":
		return "--icmpv6-type"
	}
	return "--dport"
}
