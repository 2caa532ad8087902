package observetest

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// Redirecting draws a rule that sends what the guest asks for where nothing is.
func Redirecting(r *rand.Rand, at Layout, gateway string) Killer {
	d := &draw{Rand: r, at: at, protocol: "tcp", port: "80"}
	if d.k.Six = r.IntN(3) == 0; r.IntN(3) == 0 {
		d.protocol, d.port, d.k.Six = "udp", "53", strings.Contains(gateway, ":")
	}
	d.k.Redirects, d.k.Hook = true, "prerouting"
	match := d.protocol + " dport " + d.port
	if r.IntN(3) == 0 {
		program, to := "iptables-nft", "192.0.2.77:3128"
		if d.k.Six {
			program, to = "ip6tables-nft", "[2001:db8:9::77]:3128"
		}
		target := Pick(r, "REDIRECT --to-ports 3128", "DNAT --to-destination "+to)
		d.k.Text = fmt.Sprintf("-A PREROUTING -i %s -p %s -m %s --dport %s -j %s", at.Bridge, d.protocol, d.protocol, d.port, target)
		d.k.IPTables = [][]string{append([]string{program, "-t", "nat"}, strings.Fields(d.k.Text)...)}
		d.k.Chain, d.k.Kind = d.ip()+" nat PREROUTING", program+" "+strings.Fields(target)[0]
		return d.k
	}
	family := Pick(r, d.ip(), "inet")
	to := map[bool]string{false: "192.0.2.77:3128", true: "[2001:db8:9::77]:3128"}[d.k.Six]
	target := Pick(r, "redirect to :3128", "dnat to "+to)
	if family == "inet" {
		target = strings.Replace(target, "dnat to", "dnat "+d.ip()+" to", 1)
	}
	d.k.Text = fmt.Sprintf("iifname %q %s %s", at.Bridge, match, target)
	d.k.Chain, d.k.Kind = family+" t c", family+" "+strings.Fields(target)[0]
	d.k.NFT = fmt.Sprintf("table %s t {\nchain c {\ntype nat hook prerouting priority %d;\n%s\n}\n}\n", family, r.IntN(150)-150, d.k.Text)
	return d.k
}

// Neighbouring draws a killer of the questions for neighbours, ARP's or IPv6's, or of
// the answers.
func Neighbouring(r *rand.Rand, at Layout) Killer {
	k := Killer{Neighbours: true, Six: r.IntN(3) == 0}
	family, hook := Pick(r, "arp", "arp", "bridge"), Pick(r, "input", "output")
	match := map[string][]string{
		"arp input":     {"", "arp operation request", "arp saddr ip " + at.Guest},
		"arp output":    {"", "arp operation reply", "arp daddr ip " + at.Guest},
		"bridge input":  {"ether type arp", "arp operation request"},
		"bridge output": {"ether type arp", "arp operation reply"},
		"ip6 input":     {"icmpv6 type nd-neighbor-solicit", "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert }"},
		"ip6 output":    {"icmpv6 type nd-neighbor-advert", "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert }"},
	}
	which := family
	if k.Six {
		family, which = Pick(r, "ip6", "inet", "bridge"), "ip6"
	}
	k.Hook, k.Chain, k.Kind, k.Reply = hook, family+" t c", family+" "+hook+" neighbours", hook == "output"
	k.Text = strings.TrimSpace(Pick(r, match[which+" "+hook]...) + " " + Pick(r, "", "counter ") + "drop")
	k.NFT = fmt.Sprintf("table %s t {\nchain c {\ntype filter hook %s priority %d;\n%s\n}\n}\n", family, hook, r.IntN(400)-200, k.Text)
	return k
}
