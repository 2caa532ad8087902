package main

import (
	"net/netip"

	"github.com/nestlab/nestlab/observe/observetest"
)

// hostsThird are faults that a third stranger found in public reports: rules and translation.
// The address over a row is the report.
func hostsThird() []row {
	return []row{
		{name: "third-dynamic-set", commands: inTable("inet guard", "set inet guard scanners { type ipv4_addr ; flags dynamic,timeout ; timeout 10m ; }", "chain inet guard pre { type filter hook prerouting priority -150 ; }", "rule inet guard pre ip saddr @scanners drop", "rule inet guard pre iifname virbr0 tcp dport 80 ct state new add @scanners { ip saddr }"),
			truth:  "a port-scan guard puts each guest of virbr0 that opens port 80 in a set for 10 minutes, and drops what is in it: DNS passes first, then nothing",
			places: []string{onLibvirt}, names: []string{"guard|scanners"}, hurt: []string{onLibvirt + ": page"}},
		// https://github.com/oniGino/docker-nftables-scripts/issues/4
		{name: "third-vmap", commands: inTable("inet fw", "chain inet fw pass { type filter hook forward priority filter ; policy drop ; }", "rule inet fw pass ct state established,related accept", "rule inet fw pass iifname . oifname vmap { br0 . up0 : accept , docker0 . up0 : accept }"),
			truth:  "a verdict map has the pairs of br0 and docker0; virbr0 is in none, and the chain's policy drops it",
			places: []string{onLibvirt}, names: []string{"inet fw|chain pass"}, hurt: []string{onLibvirt + ": page"}},
		{name: "third-quota", commands: inTable("inet plan", "chain inet plan pass { type filter hook forward priority filter ; }", "rule inet plan pass oifname docker0 quota over 20 kbytes drop"),
			truth:  "a quota of 20 KiB for what docker0's guests receive: small answers come until it is used up, then none",
			places: []string{onDocker}, names: []string{"quota|plan"}, hurt: []string{onDocker + ": page"}},
		{name: "third-owner", commands: inTable("inet users", "chain inet users out { type filter hook output priority filter ; }", "rule inet users out meta skuid 0 oifname up0 tcp dport { 80, 443 } reject with tcp reset"),
			truth:  "root may not use the web (meta skuid 0, reset): the host's own programs alone",
			places: []string{onRunner}, names: []string{"skuid|users"}, hurt: []string{onRunner + ": page"}},
		{name: "third-time", commands: []string{"iptables-nft -A FORWARD -i docker0 -m time --timestart 00:00 --timestop 23:59:59 -j REJECT --reject-with icmp-admin-prohibited"},
			truth:  "parental control: a time match rejects what docker0 sends all day",
			places: []string{onDocker}, names: []string{"FORWARD|time"}, hurt: []string{onDocker + ": page", onDocker + ": names"}},
		// https://github.com/XTLS/Xray-core/issues/3525
		{name: "third-tproxy-gone", commands: []string{"ip rule add priority 600 fwmark 1 lookup 100", "ip route add local default dev lo table 100", "iptables-nft -t mangle -A PREROUTING -i br0 -p tcp -m tcp ! -d 10.91.3.0/24 -j TPROXY --on-port 12345 --tproxy-mark 1"}, back: []string{"ip rule del priority 600", "ip route flush table 100"},
			truth:  "a transparent proxy (TPROXY, port 12345) that is gone: TCP of br0's guests is dropped, IPv4 alone",
			places: []string{onBridge}, names: []string{"TPROXY|12345"}, hurt: []string{onBridge + ": page"}},
		// https://github.com/moby/moby/issues/34531
		{name: "third-notrack-answers", commands: []string{"iptables-nft -t raw -A PREROUTING -i up0 -p tcp -m multiport --sports 80,443 -j CT --notrack"},
			truth:  "tuning against floods: answers of web servers are not tracked, so NAT is not undone for any guest; the host's own arrive",
			places: allBridges, names: []string{"(?i)notrack|raw"}, hurt: allPages},
		{name: "third-icmpv6", commands: []string{"ip6tables-nft -A INPUT -i br0 -p ipv6-icmp -j DROP"}, do: func(w *hostSuite) {
			w.Guest.Do(w.t, func() { w.run("ip", "-6", "neigh", "flush", "all") })
			w.run("ip", "-6", "neigh", "flush", "dev", "br0")
		},
			truth:  "all of ICMPv6 from br0 is dropped, questions for neighbours too: guests find no IPv6 gateway",
			places: []string{onBridge}, names: []string{"INPUT"}, hurt: []string{onBridge + ": page6"}},
		{name: "third-egress-ttl", commands: inTable("netdev carrier", "chain netdev carrier out { type filter hook egress device up0 priority 0 ; }", "rule netdev carrier out ip ttl 63 drop"),
			truth:  "no tethering: on its way out of up0 (netdev egress) IPv4 that was forwarded once (TTL 63) is dropped",
			places: allBridges, names: []string{"carrier|ttl"}, hurt: append(allPages, onDocker+": names")},
	}
}

// hostsThirdNAT are those of translation, of iptables-legacy, and of what packets carry.
func hostsThirdNAT() []row {
	translated := func(rules ...string) []string {
		return append([]string{"nft delete table inet nat", "ip6tables-nft -t nat -A POSTROUTING -o up0 -j MASQUERADE"}, rules...)
	}
	return []row{
		{name: "third-legacy-raw", commands: []string{"iptables-legacy -t raw -A PREROUTING -i virbr0 ! -d 192.168.122.0/24 -j DROP"}, back: []string{"iptables-legacy -t raw -F"},
			truth:  "a rule of iptables-legacy in raw PREROUTING, beside nftables, drops what virbr0 sends elsewhere, DHCP requests (255.255.255.255) too",
			places: []string{onLibvirt}, names: []string{"legacy|raw"}, hurt: []string{onLibvirt + ": page", onLibvirt + ": lease"}},
		// https://github.com/moby/moby/issues/41795 and https://github.com/wg-easy/wg-easy/issues/2208
		{name: "third-masquerade-old-uplink", commands: translated("iptables-nft -t nat -A POSTROUTING -o enp3s0 -j MASQUERADE"),
			truth:  "the uplink has another name since a new card: MASQUERADE names enp3s0, and nothing of IPv4 is translated at up0",
			places: allBridges, names: []string{"(?i)translat|masquerad"}, hurt: append(allPages, onDocker+": names")},
		{name: "third-snat-pool", commands: translated("iptables-nft -t nat -A POSTROUTING -s 192.168.122.0/24 -o up0 -j SNAT --to-source 198.51.100.64-198.51.100.71 --persistent", "iptables-nft -t nat -A POSTROUTING -o up0 -j MASQUERADE"),
			truth:  "virbr0 is given addresses of a pool, 198.51.100.64-71, that is not this host's any more: no answers",
			places: []string{onLibvirt}, names: []string{`198\.51\.100\.64`}, hurt: []string{onLibvirt + ": page"}},
		// https://github.com/moby/libnetwork/issues/1183
		{name: "third-six-untranslated", commands: []string{"nft delete table inet nat", "iptables-nft -t nat -A POSTROUTING -o up0 -j MASQUERADE"},
			truth:  "IPv4 alone is translated: br0's IPv6 (fd00::/8) leaves with its private address",
			places: []string{onBridge}, names: []string{"(?i)translat|masquerad"}, hurt: []string{onBridge + ": page6"}},
		{name: "third-mark", commands: []string{"iptables-nft -N KUBE-FIREWALL", "iptables-nft -A FORWARD -j KUBE-FIREWALL", "iptables-nft -A KUBE-FIREWALL -m mark --mark 0x8000/0x8000 -j DROP", "iptables-nft -t mangle -A PREROUTING -i virbr0 -j MARK --or-mark 0xc000"},
			truth:  "a mark of somebody's (0xc000 on virbr0) has the bit by which KUBE-FIREWALL drops (0x8000)",
			places: []string{onLibvirt}, names: []string{"KUBE-FIREWALL"}, hurt: []string{onLibvirt + ": page"}},
		{name: "third-string", commands: []string{"iptables-nft -A FORWARD -i br0 -p tcp -m string --algo bm --string HTTP/1. -j DROP"},
			truth:  "a filter of contents drops requests with HTTP/1.: connections open, pages do not come, IPv4 alone",
			places: []string{onBridge}, names: []string{"string|HTTP"}, hurt: []string{onBridge + ": page"}},
		{name: "third-string-four", commands: []string{"iptables-nft -A FORWARD -i docker0 -p tcp -m string --algo bm --string HTTP/1. -j DROP"},
			truth:  "as third-string, where guests have IPv4 alone",
			places: []string{onDocker}, names: []string{"string|HTTP"}, hurt: []string{onDocker + ": page"}},
		{name: "third-legacy-forward", commands: []string{"iptables-legacy -A FORWARD -i docker0 -p tcp --dport 80 -j REJECT"}, back: []string{"iptables-legacy -F FORWARD"},
			truth:  "a rule of iptables-legacy in FORWARD, beside nftables, rejects the web for docker0",
			places: []string{onDocker}, names: []string{"iptables-legacy.*--dport 80"}, hurt: []string{onDocker + ": page"}},
		{name: "third-connbytes", commands: []string{"iptables-nft -A FORWARD -o docker0 -m connbytes --connbytes 20000: --connbytes-dir reply --connbytes-mode bytes -j DROP"},
			truth:  "connections of docker0 are cut after 20 kB of answers (connbytes): small pages come, large ones stop",
			places: []string{onDocker}, names: []string{"connbytes"}, hurt: []string{onDocker + ": page"}},
		{name: "third-broadcast", commands: []string{"iptables-nft -A INPUT -m pkttype --pkt-type broadcast -j DROP"},
			truth:  "broadcasts are dropped in INPUT, so DHCP requests of virbr0's guests too",
			places: []string{onLibvirt}, names: []string{"(?i)broadcast|INPUT"}, hurt: []string{onLibvirt + ": lease"}},
		{name: "third-dhcp-answers", commands: inTable("inet strictout", "chain inet strictout out { type filter hook output priority filter ; }", "rule inet strictout out udp sport 67 udp dport 68 drop"),
			truth:  "DHCP answers are dropped as they leave the host (output): a guard against foreign servers that hits the own one",
			places: []string{onLibvirt}, names: []string{"strictout"}, hurt: []string{onLibvirt + ": lease"}},
		{name: "third-mac-list", commands: inTable("bridge port", "chain bridge port security { type filter hook prerouting priority -200 ; }", "rule bridge port security ether daddr 52:54:00:00:00:00 ether saddr != 02:42:ac:11:00:02 drop"),
			truth:  "port security: on docker0 only one hardware address may reach the host (bridge family)",
			places: []string{onDocker}, names: []string{"security|ether saddr"}, hurt: []string{onDocker + ": page"}},
		{name: "third-localnet", do: func(w *hostSuite) { observetest.ServeNames(w.t, netip.MustParseAddrPort("127.0.0.54:53")) }, commands: []string{"iptables-nft -t nat -A PREROUTING -i docker0 -p udp --dport 53 -j DNAT --to-destination 127.0.0.54:53"},
			truth:  "DNS of docker0 is sent to the host's stub on 127.0.0.54 by DNAT, and route_localnet is off: martian destination",
			places: []string{onDocker}, names: []string{`route_localnet|127\.0\.0\.54`}, hurt: []string{onDocker + ": names"}},
	}
}

// inTable are the commands that make a table of nftables with these chains, sets and rules.
func inTable(table string, lines ...string) []string {
	all := []string{"nft add table " + table}
	for _, l := range lines {
		all = append(all, "nft add "+l)
	}
	return all
}
