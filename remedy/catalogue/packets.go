package catalogue

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
)

// The remedies for what a packet was seen to end by, whatever that is.

func acceptBefore() Remedy {
	return Remedy{
		Name: AcceptBefore, Breadth: OneBridge,
		About:        "accepts packets right before the rule, or the policy, that drops them",
		Opens:        "These packets pass this rule or policy and what comes after it in its chain; all others are dropped as before, and other chains decide as before.",
		Cost:         "Not persistent: gone after a reboot, or when a program rewrites this table.",
		Precondition: "the rule is there: one with this handle, or a chain with a policy",
		Parameters: []Parameter{
			{Name: "table", About: "family and name of the table", Required: true, Example: "'inet filter'", check: anyTable},
			{Name: "chain", About: "the chain", Required: true, Example: "forward", check: chainName},
			{Name: "handle", About: "the rule's handle, as `nft -a list ruleset` shows it, of iptables-legacy its place in its chain; without it the chain's policy", Example: "7", check: between(1, 1<<31-1)},
			{Name: "index", About: "the rule's place in its chain, from 1, for the command alone", Example: "3", check: between(1, 1<<31-1)},
			{Name: "program", About: "the program that the table is of, for iptables' tables; iptables-legacy for that one's", Example: "iptables", check: oneOf("iptables", "ip6tables", "iptables-"+Legacy, "ip6tables-"+Legacy)},
			{Name: "in", About: "the interfaces that they come in by", Example: "lxdbr0", check: interfaces},
			{Name: "out", About: "the interfaces that they leave by", Example: "lxdbr0", check: interfaces},
			{Name: "from", About: "addresses or networks that they are from", Example: "10.77.0.0/24", check: addresses},
			{Name: "to", About: "addresses or networks that they are to", Example: "198.51.100.10,198.51.100.11", check: addresses},
			{Name: "ports", About: "protocols with ports that they are to", Example: "udp/53,tcp/53", check: ports},
			{Name: "state", About: "answers: only what belongs to connections that are there", Example: stateAnswers, check: oneOf(stateAnswers)},
			{Name: "neighbours", About: "yes: the packets by which neighbours find each other as well", Example: "yes", check: oneOf("yes")},
			{Name: "answers", About: "yes: the answers as well: what leaves by in, or is from what it was to", Example: "yes", check: oneOf("yes")},
		},
		commands: acceptCommands, undo: acceptUndo,
	}
}

// raw takes the quotes of Quote off again.
func raw(v values) map[string]string {
	out := map[string]string{}
	for name, word := range v {
		if inner, quoted := strings.CutPrefix(word, "'"); quoted {
			word = strings.ReplaceAll(strings.TrimSuffix(inner, "'"), `'\''`, "'")
		}
		out[name] = word
	}
	return out
}

// forNFT are values as nft may read them; of any other the name stands in capitals.
func forNFT(v values) map[string]string {
	out := map[string]string{}
	for name, value := range raw(v) {
		if out[name] = value; value == "" || !isPlain(value) {
			out[name] = strings.ToUpper(name)
		}
	}
	return out
}

// tableOf is the family and name of a table, or what stands for them.
func tableOf(v values) (family, name string) {
	if t := raw(v)["table"]; anyTable(t) == nil {
		family, name, _ = strings.Cut(t, " ")
		return family, name
	}
	return "FAMILY", "TABLE"
}

func acceptCommands(v values) []string {
	var out []string
	family, table := tableOf(v)
	_, xtables := v["program"]
	_, rule := v["handle"]
	if xtables {
		given := raw(v)
		for _, m := range Matches(given) {
			at := []string{given["program"], "-t", table, "-A", given["chain"]}
			if rule {
				at = []string{given["program"], "-t", table, "-I", given["chain"], given["index"]}
			}
			out = append(out, Shell(slices.Concat(at, m.IPTables())...))
		}
		return out
	}
	given := forNFT(v)
	given["table"] = family + " " + table
	for _, m := range Matches(given) {
		at := []string{"nft", "add", "rule", family, table, given["chain"]}
		if rule {
			at = []string{"nft", "insert", "rule", family, table, given["chain"], "handle", given["handle"]}
		}
		out = append(out, Shell(append(at, m.NFT(family))...))
	}
	return out
}

func acceptUndo(v values) []string {
	family, table := tableOf(v)
	if _, xtables := v["program"]; !xtables {
		chain := forNFT(v)["chain"]
		return []string{
			Shell("nft", "-a", "list", "chain", family, table, chain) + "  # shows the handle of each rule that was added",
			Shell("nft", "delete", "rule", family, table, chain, "handle", "HANDLE"),
		}
	}
	var out []string
	given := raw(v)
	for _, m := range Matches(given) {
		out = append(out, Shell(slices.Concat([]string{given["program"], "-t", table, "-D", given["chain"]}, m.IPTables())...))
	}
	return out
}

// Shell is a command of these words, each as a shell takes it.
func Shell(words ...string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = Quote(w)
	}
	return strings.Join(quoted, " ")
}

func interfaces(s string) error {
	for _, name := range strings.Split(s, ",") {
		if err := Interface(name); err != nil {
			return err
		}
	}
	return nil
}

var anyTableName = regexp.MustCompile(`^(ip|ip6|inet|bridge|netdev|arp) [A-Za-z0-9_.-]{1,64}$`)

func anyTable(s string) error {
	if !anyTableName.MatchString(s) {
		return errors.New("give the family and the name of a table, such as 'inet filter'")
	}
	return nil
}

var chainNames = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,128}$`)

func chainName(s string) error {
	if !chainNames.MatchString(s) {
		return errors.New("give a chain's name of letters, digits, _, . and -")
	}
	return nil
}

// MaxAddresses bounds a list of addresses.
const MaxAddresses = 64

func addresses(s string) error {
	list := strings.Split(s, ",")
	if len(list) > MaxAddresses {
		return fmt.Errorf("give at most %d addresses", MaxAddresses)
	}
	for _, a := range list {
		if _, err := ParseNetwork(a); err != nil {
			return errors.New("give addresses or networks with commas between them, such as 198.51.100.10,10.77.0.0/24")
		}
	}
	return nil
}

// ParseNetwork reads a network, or an address as the network of it alone.
func ParseNetwork(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil || p != p.Masked() {
		return netip.Prefix{}, fmt.Errorf("%.60q is no address and no network", s)
	}
	return p, nil
}

var portName = regexp.MustCompile(`^((udp|tcp)/[1-9][0-9]{0,4}|(icmp|ipv6-icmp)/[0-9]{1,3}|udp|tcp|icmp|ipv6-icmp|arp)$`)

func ports(s string) error {
	if slices.ContainsFunc(strings.Split(s, ","), func(p string) bool { return !portName.MatchString(p) }) {
		return errors.New("give protocols with commas between them, such as udp/53,tcp/53,icmp")
	}
	return nil
}

func interfaceParameter(about string) Parameter {
	return Parameter{Name: "interface", About: about, Required: true, Example: "eth0", check: Interface}
}

func interfaceForwardingOn() Remedy {
	set := func(to string) func(values) []string {
		return func(v values) []string {
			return []string{"sysctl -w net/ipv4/conf/" + v["interface"] + "/forwarding=" + to}
		}
	}
	return Remedy{
		Name: InterfaceForwardingOn, Breadth: OneBridge,
		About:        "turns IPv4 forwarding on for what comes in by one interface",
		Opens:        "What comes in by this interface is forwarded, as far as the firewall lets it through.",
		Cost:         "Not persistent, and gone when a program sets it again: systemd-networkd's is IPv4Forwarding=yes in the interface's .network file.",
		Precondition: "the interface's own forwarding is off",
		Parameters:   []Parameter{interfaceParameter("the interface that packets come in by")},
		commands:     set("1"), undo: set("0"),
	}
}

func rpFilterLoose() Remedy {
	set := func(to string) func(values) []string {
		return func(v values) []string {
			return []string{"sysctl -w net/ipv4/conf/" + v["interface"] + "/rp_filter=" + to}
		}
	}
	return Remedy{
		Name: RPFilterLoose, Breadth: OneBridge,
		About:        "lets packets in by an interface whose answers leave by another one (loose reverse path filter)",
		Opens:        "What comes in by this interface need not have its way back by it; a source that has no route at all is still refused.",
		Cost:         "Addresses that belong elsewhere can be forged by whoever is on that link. Not persistent.",
		Precondition: "the interface's reverse path filter is strict",
		Parameters:   []Parameter{interfaceParameter("the interface that packets come in by")},
		commands:     set("2"), undo: set("FORMER-VALUE"),
	}
}

func conntrackMax() Remedy {
	return Remedy{
		Name: ConntrackMax, Breadth: Runner,
		About:        "makes room for more connections in the table of connection tracking",
		Opens:        "The kernel tracks as many connections as max says, with some 300 bytes of memory each.",
		Cost:         "Whoever opens that many connections goes on. Not persistent.",
		Precondition: "the machine's own network namespace: others cannot change it",
		Parameters:   []Parameter{{Name: "max", About: "how many connections", Required: true, Example: "524288", check: between(1024, 1<<26)}},
		commands:     func(v values) []string { return []string{"sysctl -w net.netfilter.nf_conntrack_max=" + v["max"]} },
		undo:         func(values) []string { return []string{"sysctl -w net.netfilter.nf_conntrack_max=FORMER-VALUE"} },
	}
}

func routeByMain() Remedy {
	verb := func(verb string) func(values) []string {
		return func(v values) []string {
			ip := "ip"
			if n, err := netip.ParsePrefix(v["network"]); err == nil && n.Addr().Is6() {
				ip = "ip -6"
			}
			var all []string
			for way, other := range map[string]string{"from": "to", "to": "from"} {
				if v["way"] != other {
					all = append(all, fmt.Sprintf("%s rule %s %s %s lookup main priority %s", ip, verb, way, v["network"], v["priority"]))
				}
			}
			slices.Sort(all)
			return all
		}
	}
	return Remedy{
		Name: RouteByMain, Breadth: OneBridge,
		About:        "routes what is from, or to, one network by the table main, before a policy rule takes it elsewhere",
		Opens:        "Packets of this network do not go the policy rule's way any more, such as into a VPN.",
		Cost:         "If that way was meant for them, they leave it. Not persistent.",
		Precondition: "a policy rule sends the packets elsewhere",
		Parameters: []Parameter{
			{Name: "network", About: "the network of the guests", Required: true, Example: "10.77.0.0/24", check: subnet},
			{Name: "way", About: "from: what the guests send; to: what is sent to them; both", Required: true, Example: "from", check: oneOf("from", "to", "both")},
			{Name: "priority", About: "the place of the new rule, before that of the one that misleads", Required: true, Example: "99", check: between(1, 32765)},
		},
		commands: verb("add"), undo: verb("del"),
	}
}
