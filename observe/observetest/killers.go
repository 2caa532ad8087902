package observetest

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// Killer is a rule or policy that ends packets, and how it is named.
type Killer struct {
	// Kind is what has been drawn, in a few words.
	Kind string
	// NFT or IPTables makes it.
	NFT      string
	IPTables [][]string
	// Hook is the one it is on, Chain is family, table and chain, Text the rule as its
	// program writes it; empty for a policy.
	Hook, Chain, Text string
	// Policy, Rejects and Redirects tell what it is; else it is a rule that drops.
	Policy, Rejects, Redirects bool
	// Six is set where it is meant for IPv6, Reply where it ends answers.
	Six, Reply bool
	// Neighbours is set where it shows only to who does not know its neighbours.
	Neighbours bool
}

// Plain is a rule's text without what nft says or leaves out by itself.
func Plain(text string) string { return defaults.Replace(text) }

var defaults = strings.NewReplacer(
	"meta nfproto ipv4 ", "", "meta nfproto ipv6 ", "", "meta l4proto tcp tcp", "tcp", "meta l4proto udp udp", "udp",
	" with icmp port-unreachable", "", " with icmpx port-unreachable", "", " with icmp6-port-unreachable", "", " with icmpv6 port-unreachable", "",
)

// Layout is where random killers are to kill.
type Layout struct {
	// Bridge, Port and Uplink are the router's interfaces.
	Bridge, Port, Uplink string
	// Site and Site6 are served at port 80 behind the uplink; Guest is IPv4.
	Site, Site6, Guest string
}

// Here is the layout of Network.
func Here() Layout {
	return Layout{Bridge: Bridge, Port: Port, Uplink: Uplink, Site: Site.String(), Site6: Site6.String(), Guest: Guest.String()}
}

// Pick draws one.
func Pick[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

// draw makes one killer.
type draw struct {
	*rand.Rand
	at Layout
	k  Killer
	// protocol and port are those of the service whose packets end, to is its address.
	protocol, port, to string
}

// Forwarded draws a killer of what the guest sends to the site's port 80, or of the
// answers: of any hook, family, priority, depth and kind.
func Forwarded(r *rand.Rand, at Layout) Killer {
	d := &draw{Rand: r, at: at, protocol: "tcp", port: "80", to: at.Site}
	d.k.Reply, d.k.Six = r.IntN(2) == 0, r.IntN(3) == 0
	if d.k.Six {
		d.to = at.Site6
	}
	if r.IntN(3) == 0 {
		return d.iptables(Pick(r, "filter", "filter", "mangle", "raw", "security"), "FORWARD")
	}
	return d.nft(Pick(r, d.ip(), "inet", d.ip(), "inet", "bridge", "netdev"), Pick(r, "prerouting", "forward", "postrouting"))
}

// Served draws a killer of DNS queries to the router's own address on the bridge, or of
// its answers.
func Served(r *rand.Rand, at Layout, gateway string) Killer {
	d := &draw{Rand: r, at: at, protocol: "udp", port: "53", to: gateway}
	d.k.Reply, d.k.Six = r.IntN(2) == 0, strings.Contains(gateway, ":")
	hooks, chain := []string{"prerouting", "input", "input"}, "INPUT"
	if d.k.Reply {
		hooks, chain = []string{"output", "output", "postrouting"}, "OUTPUT"
	}
	if r.IntN(3) == 0 {
		return d.iptables(Pick(r, "filter", "filter", "mangle"), chain)
	}
	return d.nft(Pick(r, d.ip(), "inet", d.ip(), "inet", "bridge", "netdev"), Pick(r, hooks...))
}

// Own draws a killer of what the router itself sends to the site, or of the answers.
func Own(r *rand.Rand, at Layout) Killer {
	d := &draw{Rand: r, at: at, protocol: "tcp", port: "80", to: at.Site}
	d.k.Reply, d.k.Six = r.IntN(2) == 0, r.IntN(3) == 0
	if d.k.Six {
		d.to = at.Site6
	}
	hook, chain := "output", "OUTPUT"
	if d.k.Reply {
		hook, chain = "input", "INPUT"
	}
	if r.IntN(3) == 0 {
		return d.iptables(Pick(r, "filter", "filter", "mangle"), chain)
	}
	return d.nft(Pick(r, d.ip(), "inet"), hook)
}

func (d *draw) ip() string {
	if d.k.Six {
		return "ip6"
	}
	return "ip"
}

// match draws what limits a rule, in nft's words; empty for all packets.
func (d *draw) match(family, hook string) string {
	port, address, ct, name := d.protocol+" dport ", " daddr ", "new", ""
	if d.k.Reply {
		port, address, ct = d.protocol+" sport ", " saddr ", "established"
	}
	switch {
	case hook == "prerouting" || hook == "input":
		name = fmt.Sprintf("iifname %q ", map[bool]string{false: d.at.Bridge, true: d.at.Uplink}[d.k.Reply])
	case hook == "postrouting" || hook == "output":
		name = fmt.Sprintf("oifname %q ", map[bool]string{false: d.at.Uplink, true: d.at.Bridge}[d.k.Reply])
	}
	service := port + d.port
	all := []string{service, service, d.ip() + address + d.to, port + "{ " + d.port + ", 443 }", "meta l4proto " + d.protocol + " " + service}
	if family != "bridge" && family != "netdev" {
		if name != "" && d.port == "53" { // the site's packets are not all that pass there
			all = append(all, name+service)
		}
		if hook != "prerouting" {
			all = append(all, "ct state "+ct+" "+service)
		}
	}
	if !d.k.Reply && d.port != "53" {
		all = append(all, "")
	}
	return Pick(d.Rand, all...)
}

// verdict draws how it ends packets.
func (d *draw) verdict(family, hook, match string) string {
	if family == "bridge" || family == "netdev" || hook == "prerouting" || hook == "postrouting" || d.IntN(3) > 0 {
		return "drop"
	}
	d.k.Rejects = true
	with := map[string]string{"ip": "icmp", "ip6": "icmpv6", "inet": "icmpx"}[family]
	all := []string{"reject", "reject with " + with + " admin-prohibited"}
	if strings.Contains(match, "tcp") {
		all = append(all, "reject with tcp reset")
	}
	return Pick(d.Rand, all...)
}

// nft draws a killer in a table of nft's.
func (d *draw) nft(family, hook string) Killer {
	k, device := &d.k, ""
	switch {
	case family == "bridge" && k.Reply:
		hook = Pick(d.Rand, "output", "postrouting")
	case family == "bridge":
		hook = Pick(d.Rand, "prerouting", "input")
	case family == "netdev" && d.port == "53":
		hook, device = map[bool]string{false: "ingress", true: "egress"}[k.Reply], " device "+d.at.Port
	case family == "netdev":
		hook = Pick(d.Rand, "ingress", "egress")
		// A bridge is no device that frames of its ports are handed to by a driver.
		device = " device " + map[bool]string{true: d.at.Uplink, false: d.at.Port}[k.Reply == (hook == "ingress")]
	}
	match := d.match(family, hook)
	verdict := d.verdict(family, hook, match)
	k.Hook, k.Chain, k.Kind = hook, family+" t c", fmt.Sprintf("%s %s %s", family, hook, strings.Fields(verdict)[0])
	k.Text = strings.TrimSpace(match + " " + Pick(d.Rand, "", "counter ") + verdict)
	if verdict == "drop" && strings.HasSuffix(match, " "+d.port) && d.IntN(8) == 0 {
		k.Text = strings.TrimSuffix(match, d.port) + "vmap { " + d.port + " : drop }"
	}
	end := "policy accept;"
	// A request only: the answer to a connection that is there would be dropped too.
	if !k.Rejects && !k.Reply && d.IntN(4) == 0 {
		end, k.Policy, k.Text, k.Kind = "policy drop;", true, "", k.Kind+" policy"
	}
	d.table(family, hook+device, end)
	return *k
}

// table writes the table: the rule at some depth, behind rules that do nothing.
func (d *draw) table(family, hook, end string) {
	k := &d.k
	body, sub := k.Text, ""
	if !k.Policy && d.IntN(2) == 0 {
		k.Chain = family + " t s"
		sub = "chain s {\n" + k.Text + "\n}\n"
		port := d.protocol + map[bool]string{false: " dport ", true: " sport "}[k.Reply] + d.port
		body = Pick(d.Rand, "jump s", "goto s", port+" jump s", "counter jump s")
	}
	decoy := Pick(d.Rand, "", "tcp dport 81 drop\n", "counter\n", "ip saddr 192.0.2.9 drop\n")
	if family == "ip6" {
		decoy = Pick(d.Rand, "", "udp dport 81 drop\n", "ip6 saddr 2001:db8:9::9 drop\n")
	}
	k.NFT = fmt.Sprintf("table %s t {\n%schain c {\ntype filter hook %s priority %d; %s\n%s%s\n}\n}\n", family, sub, hook, d.IntN(4001)-2000, end, decoy, body)
	k.NFT += Pick(d.Rand, "", "table inet other { chain o { type filter hook forward priority -5; accept; }; }\n")
}

// iptables draws a killer in a table of iptables-nft or ip6tables-nft; the chain is the
// one in the table filter.
func (d *draw) iptables(table, chain string) Killer {
	k := &d.k
	switch {
	case table == "raw":
		chain = "PREROUTING"
	case table == "mangle" && chain == "FORWARD":
		chain = Pick(d.Rand, "PREROUTING", "FORWARD", "POSTROUTING")
	}
	program := map[bool]string{false: "iptables-nft", true: "ip6tables-nft"}[k.Six]
	add := func(words ...string) {
		k.IPTables = append(k.IPTables, append([]string{program, "-t", table}, words...))
	}
	k.Hook, k.Chain, k.Kind = strings.ToLower(chain), d.ip()+" "+table+" "+chain, program+" "+table+" "+chain
	if !k.Reply && d.IntN(4) == 0 {
		add("-P", chain, "DROP")
		k.Policy, k.Kind = true, k.Kind+" policy"
		return *k
	}
	in := chain
	if d.IntN(2) == 0 {
		in = "SUB"
		add("-N", in)
		add("-A", chain, Pick(d.Rand, "-j", "-g"), in)
	}
	k.Chain = d.ip() + " " + table + " " + in
	target := "-j DROP"
	if table == "filter" && d.IntN(2) == 0 {
		k.Rejects = true
		all := []string{"icmp-port-unreachable", "icmp-host-prohibited"}
		if k.Six {
			all = []string{"icmp6-port-unreachable", "icmp6-adm-prohibited"}
		}
		target = "-j REJECT --reject-with " + Pick(d.Rand, all...)
		k.Kind += " reject"
	}
	port, end := "--dport", "-d"
	if k.Reply {
		port, end = "--sport", "-s"
	}
	bits := map[bool]string{false: "/32", true: "/128"}[k.Six]
	p := "-p " + d.protocol
	match := Pick(d.Rand, p+" -m "+d.protocol+" "+port+" "+d.port, p+" -m multiport "+port+"s "+d.port+",443",
		p+" -m comment --comment x -m "+d.protocol+" "+port+" "+d.port, end+" "+d.to+bits)
	k.Text = fmt.Sprintf("-A %s %s %s", in, match, target)
	add(strings.Fields(k.Text)...)
	return *k
}
