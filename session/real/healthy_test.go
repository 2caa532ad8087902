package real

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/diagnose"
	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/observe/observetest"
	"github.com/nestlab/nestlab/testbed/nettest"
)

// A firewall that is strict, and lets through what is needed, is no cause of anything.
func TestStrictFirewallsAreHealthy(t *testing.T) {
	t.Parallel()
	if !nettest.Isolated(t) {
		return
	}
	r, firewalls := observetest.Random(t, 30)
	l := newLab(t)
	l.patient = true
	for i := range firewalls {
		l.protect(t, r)
		run, progress := l.run(t)
		h, more := diagnose.Next(run, nil)
		require.False(t, more, "%d: %+v\n%s\n%s\n%s", i, h, command(t, "", "nft", "list", "ruleset"), progress, told(run))
		require.Equal(t, model.Healthy, run.Diagnosis.Verdict, "%s", told(run))
		require.Empty(t, run.Interventions)
		l.clear(t)
	}
}

// What fails behind a strict firewall, and not by it, is not blamed on it.
func TestStrictFirewallsAreNotBlamed(t *testing.T) {
	t.Parallel()
	if !nettest.Isolated(t) {
		return
	}
	r, firewalls := observetest.Random(t, 10)
	l := newLab(t)
	for i := range firewalls {
		l.protect(t, r)
		closed := "table inet site { chain in { type filter hook input priority 0; " + observetest.Pick(r, "meta nfproto ipv6 tcp dport 80 drop", "meta nfproto ipv4 tcp dport 80 drop", "tcp dport 80 reject with tcp reset") + "; }; }"
		l.Site.Do(t, func() { nft(t, closed) })
		run, progress := l.run(t)
		require.NotEqual(t, model.Healthy, run.Diagnosis.Verdict)
		for _, f := range append([]model.Finding{run.Diagnosis.Finding}, run.Diagnosis.Further...) {
			require.NotEqual(t, model.Proven, f.Confidence, "%s", told(run))
			for _, e := range f.Evidence {
				require.True(t, e.Loss == nil || len(e.Loss.Drops) == 0, "%d: %s: %s\n%s\n%s", i, closed, command(t, "", "nft", "list", "ruleset"), progress, told(run))
			}
		}
		l.Site.Do(t, func() { nft(t, "flush ruleset") })
		l.clear(t)
	}
}

// protect has the router protected by a strict firewall, and the guest try what it drops.
func (l *lab) protect(t *testing.T, r *rand.Rand) {
	t.Helper()
	f := strict(r)
	for _, words := range f.iptables {
		command(t, "", words[0], words[1:]...)
	}
	nft(t, f.nft)
	l.resolver = observetest.Pick(r, observetest.Gateway, observetest.Gateway6)
	l.noisy, l.strangers = true, r.IntN(2) == 0
	for _, name := range []string{"all", observetest.Bridge, observetest.Uplink} {
		set(t, "net/ipv4/conf/"+name+"/rp_filter", fmt.Sprint(r.IntN(2)))
	}
	set(t, "net/bridge/bridge-nf-call-iptables", fmt.Sprint(r.IntN(2)))
}

// firewall is one as nft, or iptables-nft, takes it.
type firewall struct {
	nft      string
	iptables [][]string
}

// some draws some of the lines.
func some(r *rand.Rand, of ...string) []string {
	var all []string
	for _, line := range of {
		if r.IntN(2) == 0 {
			all = append(all, line)
		}
	}
	return all
}

// strict draws a firewall that drops all but what the guest and the router need.
func strict(r *rand.Rand) firewall {
	f := firewall{nft: extras(r)}
	if r.IntN(3) == 0 {
		f.iptables = strictIPTables(r)
		return f
	}
	drops := some(r, "ct state invalid drop", "ct state invalid counter log prefix \"invalid \" drop", "udp dport { 137, 138, 5353, 1900 } drop",
		"pkttype { broadcast, multicast } udp dport != { 67, 547 } counter drop", "ip saddr 169.254.0.0/16 drop", "tcp flags & (fin|syn) == (fin|syn) drop",
		"tcp dport { 25, 465 } reject with tcp reset", "meta nfproto ipv4 meta l4proto != { tcp, udp, icmp } drop")
	input := []string{
		`iif lo accept`, `meta l4proto ipv6-icmp accept`, `icmp type echo-request limit rate 100/second accept`,
		observetest.Pick(r, `iifname br0 udp dport { 53, 67 } accept`, `iifname br0 accept`, `iifname br0 meta l4proto { tcp, udp } th dport vmap { 53 : accept, 67 : accept }`),
	}
	forward := []string{observetest.Pick(r, `iifname br0 oifname up0 accept`, `iifname br0 ct state new accept`, `iifname br0 tcp dport { 53, 80, 443 } accept
		iifname br0 meta l4proto { icmp, ipv6-icmp } limit rate 200/second accept`, `iifname br0 tcp flags syn limit rate 200/second burst 100 packets accept
		iifname br0 meta l4proto != tcp accept`)}
	output := []string{observetest.Pick(r, `accept`, `ct direction reply accept
		oif lo accept
		meta l4proto { icmp, ipv6-icmp } accept
		udp dport 53 accept
		tcp dport { 53, 80, 443 } accept
		meta nfproto ipv4 udp sport 53 accept`)}
	chain := func(hook string, rules []string) string {
		all := append([]string{observetest.Pick(r, "ct state established,related accept", "ct state vmap { established : accept, related : accept, invalid : drop }")}, drops...)
		all = append(append(all, rules...), some(r, "counter", "limit rate 5/minute log prefix \"dropped \"")...)
		end := "drop"
		if hook != "output" && r.IntN(4) == 0 {
			end = "accept"
			all = append(all, observetest.Pick(r, "reject with icmpx admin-prohibited", "counter drop"))
		}
		return fmt.Sprintf("chain %s {\ntype filter hook %s priority %d; policy %s;\n%s\n}\n", hook, hook, r.IntN(50), end, strings.Join(all, "\n"))
	}
	f.nft += "table inet strict {\n" + chain("input", input) + chain("forward", forward) + chain("output", output) + "}\n"
	return f
}

// extras draws tables beside the firewall, none of which ends what is needed.
func extras(r *rand.Rand) string {
	return strings.Join(some(r,
		"table inet nat { chain post { type nat hook postrouting priority srcnat; oifname up0 masquerade; }; }\n",
		"table inet reverse { chain pre { type filter hook prerouting priority raw; fib saddr . iif oif missing counter drop; }; }\n",
		"table ip blocked { set bad { type ipv4_addr; flags interval; elements = { 192.0.2.0/24, 203.0.113.7 }; }; chain pre { type filter hook prerouting priority -300; ip saddr @bad drop; ip daddr @bad drop; }; }\n",
		"table netdev early { chain in { type filter hook ingress device up0 priority -500; ip saddr 10.0.0.0/8 drop; tcp flags & (fin|syn|rst|ack) == 0x0 drop; }; }\n",
		"table bridge ports { chain in { type filter hook input priority 0; ether type != { ip, ip6, arp } drop; udp dport 5353 drop; }; }\n",
		"table arp known { chain in { type filter hook input priority 0; policy drop; iifname br0 arp saddr ip 10.91.3.0/24 accept; iifname up0 arp saddr ip 198.51.100.0/24 accept; }; }\n",
		"table ip mangle { chain forward { type filter hook forward priority mangle; tcp flags syn tcp option maxseg size set rt mtu; meta l4proto udp udp dport 123 drop; }; }\n",
	), "")
}

// strictIPTables draws the same for iptables-nft and ip6tables-nft.
func strictIPTables(r *rand.Rand) [][]string {
	var all [][]string
	for _, program := range []string{"iptables-nft", "ip6tables-nft"} {
		icmp := map[string]string{"iptables-nft": "icmp", "ip6tables-nft": "ipv6-icmp"}[program]
		add := func(rule string) { all = append(all, append([]string{program}, strings.Fields(rule)...)) }
		for _, chain := range []string{"INPUT", "FORWARD"} {
			for _, rule := range some(r, "-m conntrack --ctstate INVALID -j DROP", "-p udp -m multiport --dports 137,138,1900,5353 -j DROP", "-m pkttype --pkt-type broadcast -p udp --dport 137 -j DROP") {
				add("-A " + chain + " " + rule)
			}
			add("-A " + chain + " -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT")
			add("-A " + chain + " -p " + icmp + " -j ACCEPT")
			add("-P " + chain + " DROP")
		}
		add("-A INPUT -i lo -j ACCEPT")
		add("-A INPUT -i br0 -p udp -m multiport --dports 53,67 -j ACCEPT")
		add("-N guests")
		add("-A FORWARD -i br0 " + observetest.Pick(r, "-j", "-g") + " guests")
		add("-A guests -p tcp -m tcp --dport 25 -j REJECT")
		add("-A guests -p tcp -m conntrack --ctstate NEW -m limit --limit 200/second --limit-burst 100 -j ACCEPT")
		add("-A guests " + observetest.Pick(r, "-o up0 -j ACCEPT", "-p tcp -m multiport --dports 80,443 -j ACCEPT"))
		if r.IntN(2) == 0 {
			add("-A FORWARD -m limit --limit 5/min -j LOG")
			add("-A FORWARD -j REJECT")
		}
	}
	return all
}

// noise has the guest send what strict firewalls drop: nothing that it needs.
func (l *lab) noise(t *testing.T) {
	t.Helper()
	for _, to := range []string{"224.0.0.251:5353", "10.91.3.255:137", "239.255.255.250:1900", "192.0.2.7:123", "[ff02::fb%eth0]:5353"} {
		at := netip.MustParseAddrPort(to)
		l.Guest.Say(t, at)
	}
	require.Error(t, l.Guest.Dial(t, "tcp", observetest.Site, 25, 100*time.Millisecond))
}
