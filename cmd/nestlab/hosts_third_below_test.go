package main

// hostsThirdBelow are the third stranger's faults beside the firewall: routes and addresses.
// The address over a row is the report.
func hostsThirdBelow() []row {
	connected := "ip route add 198.51.100.0/24 dev up0 proto kernel scope link src 198.51.100.1"
	return []row{
		// https://github.com/moby/libnetwork/issues/779 and https://github.com/docker/for-linux/issues/599
		{name: "third-vpn-untranslated", do: func(w *hostSuite) { w.tunnel(); w.farSite() }, back: []string{"ip link del tun0", connected},
			truth:  "OpenVPN's redirect-gateway def1 (0.0.0.0/1 and 128.0.0.0/1 by tun0) works for the host; what guests send leaves by tun0 untranslated, as NAT is bound to up0",
			places: allBridges, names: []string{"tun0"}, hurt: append(allPages, onDocker+": names")},
		// https://github.com/OutlineFoundation/outline-sdk/issues/181
		{name: "third-leak-protection", commands: []string{"ip rule add priority 100 not fwmark 0x711e lookup main suppress_prefixlength 0", "ip rule add priority 101 not fwmark 0x711e unreachable"}, back: []string{"ip rule del priority 100", "ip rule del priority 101", connected},
			do:     func(w *hostSuite) { w.farSite() },
			truth:  "leak protection of a VPN client that has ended: without its mark no default route of main counts, and all else is unreachable; IPv4, of the host too",
			places: everywhere, names: []string{"(?i)unreachable|suppress|0x711e|101"}, hurt: append([]string{onRunner + ": page"}, allPages...)},
		{name: "third-source-hint", commands: []string{"ip address add 192.0.2.55/32 dev lo", "ip route replace 198.51.100.0/24 dev up0 proto kernel scope link src 192.0.2.55", "site:ip route add blackhole 192.0.2.0/24", "nft flush chain inet nat post", "nft add rule inet nat post oifname up0 meta nfproto ipv6 masquerade", "nft add rule inet nat post oifname up0 ip saddr { 10.91.3.0/24, 172.17.0.0/24, 192.168.122.0/24 } masquerade"},
			back:   []string{"ip route replace 198.51.100.0/24 dev up0 proto kernel scope link src 198.51.100.1", "ip address del 192.0.2.55/32 dev lo", "site:ip route del blackhole 192.0.2.0/24"},
			truth:  "the route's source hint is 192.0.2.55, which nobody outside routes back: the host itself, and virbr0's names (its dnsmasq asks as the host)",
			places: []string{onRunner, onLibvirt}, names: []string{`192\.0\.2\.55`}, hurt: []string{onRunner + ": page", onRunner + ": names"}},
		{name: "third-metric-dead", do: func(w *hostSuite) { w.secondUplink(); w.farSite(); w.secondDefault() },
			back:   []string{"ip link del up1", "ip route del default via 198.51.100.2 dev up0 metric 600", connected, "ip route add default via 198.51.100.2 dev up0"},
			truth:  "two default routes: the preferred one (metric 100) goes by up1 to 203.0.113.9, which does not answer; IPv4, of the host too",
			places: everywhere, names: []string{`203\.0\.113\.9|up1`}, hurt: append([]string{onRunner + ": page"}, allPages...)},
		{name: "third-own-answers", commands: []string{"ip rule add priority 700 from 192.168.122.0/24 lookup 200", "ip route add default via 198.51.100.2 dev up0 onlink table 200"}, back: []string{"ip rule del priority 700", "ip route flush table 200"},
			truth:  "policy routing for virbr0's network has no route to that network itself: the host's answers to guests (names) leave by the uplink; what comes from outside finds them",
			places: []string{onLibvirt}, names: []string{"200|700"}, hurt: []string{onLibvirt + ": names"}},
		// https://github.com/moby/moby/issues/43466 and https://github.com/docker/for-linux/issues/844
		{name: "third-six-default-expired", commands: []string{"ip -6 route del default", "ip -6 route del 2001:db8:100::/64 dev up0"}, back: []string{"ip -6 route add 2001:db8:100::/64 dev up0 proto kernel metric 256", "ip -6 route add default via 2001:db8:100::2 dev up0"},
			truth:  "the IPv6 default route that came by router advertisement has gone since forwarding is on (accept_ra=1): the host and br0 have no IPv6 outside",
			places: []string{onRunner, onBridge}, names: []string{"(?i)route"}, hurt: []string{onRunner + ": page6", onBridge + ": page6"}},
		// https://github.com/bitwarden/server/issues/947
		{name: "third-overlap-outside", commands: []string{"ip address add 198.51.100.6/29 dev docker0"}, back: []string{"ip address del 198.51.100.6/29 dev docker0"},
			truth:  "docker0 has 198.51.100.0/29 too, a part of the network outside: the site is looked for on docker0, by the host too",
			places: everywhere, names: []string{`198\.51\.100\.0/29|docker0`}, hurt: append([]string{onRunner + ": page"}, allPages...)},
		{name: "third-duplicate-address", commands: []string{"site:ip address add 198.51.100.1/32 dev eth0"}, back: []string{"site:ip address del 198.51.100.1/32 dev eth0"},
			truth:  "another machine outside has the host's address 198.51.100.1: no IPv4 answers come back to anybody",
			places: everywhere, names: []string{`(?i)unanswered|no answer|upstream|198\.51\.100\.1`}, hurt: append([]string{onRunner + ": page"}, allPages...)},
		{name: "third-router-stale-arp", commands: []string{"site:ip neigh replace 198.51.100.1 lladdr 02:00:00:00:00:98 dev eth0 nud permanent"}, back: []string{"site:ip neigh del 198.51.100.1 dev eth0"},
			truth:  "the router outside still has the old hardware address of the host: answers come in at up0 for another card, and are not taken; IPv4",
			places: everywhere, names: []string{`(?i)02:00:00:00:00:98|hardware address|other.?host`}, hurt: append([]string{onRunner + ": page"}, allPages...)},
	}
}

// hostsThirdLinks are those of links and of what they find each other by.
func hostsThirdLinks() []row {
	return []row{
		{name: "third-six-disabled", commands: []string{"sysctl -w net.ipv6.conf.br0.disable_ipv6=1"}, back: []string{"sysctl -w net.ipv6.conf.br0.disable_ipv6=0", "ip -6 address add fd00:91:3::1/64 dev br0 nodad"},
			truth:  "IPv6 is switched off on br0 (disable_ipv6), whose guests still have it: their IPv6 gateway is gone",
			places: []string{onBridge}, names: []string{"disable_ipv6|(?i)address"}, hurt: []string{onBridge + ": page6"}},
		{name: "third-vip-left", commands: []string{"ip address add 198.51.100.2/32 dev lo"}, back: []string{"ip address del 198.51.100.2/32 dev lo"},
			truth:  "a service address that keepalived left on lo is the site's: all that goes there ends in the host, which refuses",
			places: everywhere, names: []string{`198\.51\.100\.2 is an address|(?i)\blocal\b`}, hurt: append([]string{onRunner + ": page"}, allPages...)},
		{name: "third-same-mac", commands: []string{"bridge fdb replace 52:54:00:00:00:01 dev tap-virbr0 master static"}, back: []string{"bridge fdb del 52:54:00:00:00:01 dev tap-virbr0 master", "ip link set virbr0 address 52:54:00:00:00:02", "ip link set virbr0 address 52:54:00:00:00:01"},
			truth:  "virbr0's forwarding table has the bridge's own hardware address at a guest's port (a copied machine): nothing reaches the gateway",
			places: []string{onLibvirt}, names: []string{"(?i)fdb|hardware address|52:54:00:00:00:01"}, hurt: []string{onLibvirt + ": page", onLibvirt + ": names"}},
		{name: "third-uplink-enslaved", commands: []string{"ip link add brlan address 52:54:00:00:00:78 type bridge", "ip link set brlan addrgenmode none", "ip link set up0 master brlan", "ip link set brlan up", "ip neigh flush dev up0", "ip -6 neigh flush dev up0"}, back: []string{"ip link del brlan"},
			truth:  "the uplink was made a port of a new bridge brlan, its addresses stayed on up0: what comes in is brlan's, answers to ARP and ND too, so that up0 finds no neighbour; of the host too",
			places: everywhere, names: []string{"brlan"}, hurt: append([]string{onRunner + ": page", onRunner + ": page6", onBridge + ": page6"}, allPages...)},
		{name: "third-ingress-ifb", commands: []string{"ip link add ifb9 type ifb", "tc qdisc add dev up0 ingress", "tc filter add dev up0 parent ffff: protocol ip u32 match u32 0 0 action mirred egress redirect dev ifb9"}, back: []string{"tc qdisc del dev up0 ingress", "ip link set up0 txqueuelen 0", "ip link del ifb9"},
			truth:  "a shaper sends what comes in by up0 to ifb9, which is down: IPv4 of host and guests is lost",
			places: everywhere, names: []string{"ifb9|ingress|mirred"}, hurt: append([]string{onRunner + ": page"}, allPages...)},
		// https://github.com/cilium/cilium/issues/26472
		{name: "third-bpf-left", do: func(w *hostSuite) { w.dropAll(docker) }, back: []string{"tc qdisc del dev docker0 clsact", "ip link set docker0 txqueuelen 0"},
			truth:  "a BPF program of a CNI that was removed stays on docker0 (clsact ingress) and drops all",
			places: []string{onDocker}, names: []string{"(?i)bpf|clsact|tc "}, hurt: []string{onDocker + ": page", onDocker + ": names"}},
		{name: "third-noarp", do: func(w *hostSuite) { w.bridgeGuests[2].do(func() { w.run("ip", "neigh", "flush", "all") }) }, commands: []string{"ip link set docker0 arp off"}, back: []string{"ip link set docker0 arp on"},
			truth:  "docker0 has ARP off: guests find no gateway",
			places: []string{onDocker}, names: []string{"(?i)arp"}, hurt: []string{onDocker + ": page"}},
	}
}

// hostsThirdHealthy are hosts that look broken and are well.
func hostsThirdHealthy() []row {
	return []row{
		{name: "third-ok-split-vpn", do: func(w *hostSuite) { w.tunnel() }, commands: []string{"iptables-nft -A FORWARD -o tun0 -j REJECT", "iptables-nft -A OUTPUT -o tun0 -m owner --uid-owner 65534 -j DROP", "ip route add unreachable 10.99.0.0/16"},
			back:  []string{"ip link del tun0", "ip route del unreachable 10.99.0.0/16"},
			truth: "a VPN for a network of its own (here: two halves of the internet but not the site's, which is on the uplink's network), closed to guests"},
		{name: "third-ok-kill-switch", truth: "a kill switch with exemptions for the uplink's network, guests and DHCP; all else is dropped and unreachable",
			commands: []string{"nft add table inet mullvad", "nft add chain inet mullvad out { type filter hook output priority filter ; policy drop ; }", "nft add rule inet mullvad out oif lo accept", "nft add rule inet mullvad out ip daddr { 198.51.100.0/24, 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16 } accept", "nft add rule inet mullvad out ip6 daddr { 2001:db8:100::/64, fc00::/7, fe80::/10, ff02::/16 } accept", "nft add rule inet mullvad out udp sport 67 accept", "nft add rule inet mullvad out reject", "nft add chain inet mullvad pass { type filter hook forward priority filter ; policy drop ; }", "nft add rule inet mullvad pass ct state established,related accept", "nft add rule inet mullvad pass ip daddr 198.51.100.0/24 accept", "nft add rule inet mullvad pass ip6 daddr 2001:db8:100::/64 accept", "nft add rule inet mullvad pass reject", "ip rule add priority 100 lookup main suppress_prefixlength 0", "ip rule add priority 101 to 203.0.113.0/24 unreachable"},
			back:     []string{"ip rule del priority 100", "ip rule del priority 101"}},
		{name: "third-ok-old-counters", truth: "drops with high counters, all of old or of other networks",
			commands: []string{"nft add table inet old", "nft add chain inet old pass { type filter hook forward priority filter ; }", "nft add rule inet old pass ip saddr 172.30.0.0/16 counter packets 918273 bytes 82736451 drop", "nft add rule inet old pass iifname br-4f2e counter packets 55555 bytes 5555555 reject", "nft add chain inet old in { type filter hook input priority filter ; }", "nft add rule inet old in iifname lxdbr0 udp dport { 53, 67 } counter packets 4242 bytes 424242 drop", "iptables-nft -A FORWARD -s 192.168.39.0/24 -c 77777 7777777 -j DROP", "iptables-nft -t nat -A PREROUTING -i cni0 -p udp --dport 53 -c 1000 100000 -j DNAT --to-destination 10.96.0.10"}},
		{name: "third-ok-no-six", truth: "IPv6 is off on docker0 and virbr0 on purpose: their guests have none",
			commands: []string{"sysctl -w net.ipv6.conf.docker0.disable_ipv6=1", "sysctl -w net.ipv6.conf.virbr0.disable_ipv6=1", "ip6tables-nft -A FORWARD -i docker0 -j DROP", "ip6tables-nft -A FORWARD -i virbr0 -j DROP"},
			back:     []string{"sysctl -w net.ipv6.conf.docker0.disable_ipv6=0", "sysctl -w net.ipv6.conf.virbr0.disable_ipv6=0"}},
		{name: "third-ok-vmap", truth: "policy drop with a complete verdict map, a limit of connections that is not reached, a set of scanners that is empty",
			commands: []string{"nft add table inet fw", "nft add chain inet fw pass { type filter hook forward priority filter ; policy drop ; }", "nft add set inet fw scanners { type ipv4_addr ; flags dynamic,timeout ; timeout 10m ; }", "nft add rule inet fw pass ip saddr @scanners drop", "nft add rule inet fw pass ct count over 900 drop", "nft add rule inet fw pass ct state established,related accept", "nft add rule inet fw pass ct state invalid drop", "nft add rule inet fw pass iifname . oifname vmap { br0 . up0 : accept , docker0 . up0 : accept , virbr0 . up0 : accept , br0 . br0 : drop }"}},
		{name: "third-ok-second-default", do: func(w *hostSuite) {
			w.secondUplink()
			w.command("ip route add default via 203.0.113.9 dev up1 metric 900")
		}, truth: "a second uplink with a default route of metric 900 to a gateway that is gone; the first has no metric",
			commands: []string{"sysctl -w net.ipv4.conf.all.ignore_routes_with_linkdown=1"}, back: []string{"sysctl -w net.ipv4.conf.all.ignore_routes_with_linkdown=0", "ip link del up1"}},
		{name: "third-ok-policy-routing", truth: "policy routing for virbr0 with a throw route for its own network, and a table that is unreachable for a network of nobody",
			commands: []string{"ip rule add priority 700 from 192.168.122.0/24 lookup 200", "ip route add default via 198.51.100.2 dev up0 table 200", "ip route add throw 192.168.122.0/24 table 200", "ip rule add priority 701 from 172.30.0.0/16 lookup 201", "ip route add unreachable default table 201", "ip rule add priority 702 iif wg7 prohibit"},
			back:     []string{"ip rule del priority 700", "ip rule del priority 701", "ip rule del priority 702", "ip route flush table 200", "ip route flush table 201"}},
	}
}
