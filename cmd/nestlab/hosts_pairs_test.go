package main

// hostsPairs are two faults at once.
func hostsPairs() []row {
	return []row{
		{name: "two-docker-and-nat", rules: []string{"docker28.v4"}, commands: []string{"nft delete table inet nat", "ip6tables-nft -t nat -A POSTROUTING -o up0 -j MASQUERADE", "iptables-nft -t nat -A POSTROUTING -s 10.91.3.0/24 -o up0 -j MASQUERADE"},
			truth:  "Docker's FORWARD policy DROP (br0, virbr0), and behind it no NAT for virbr0 (libvirt's rules flushed)",
			places: []string{onBridge, onLibvirt}, names: []string{"FORWARD", "(?i)nat|masquerade|translat"}, hurt: []string{onBridge + ": page", onLibvirt + ": page"}},
		{name: "two-ufw-and-dnsmasq", rules: []string{"ufw.v4", "ufw.v6"}, commands: []string{"iptables-nft -A ufw-user-input -i virbr0 -j ACCEPT", "iptables-nft -A ufw-user-input -i br0 -j ACCEPT"}, do: func(w *hostSuite) { w.names("--server=198.51.100.99") },
			truth:  "ufw's FORWARD policy DROP (all), and virbr0's dnsmasq has a dead upstream",
			places: allBridges, names: []string{"FORWARD", `198\.51\.100\.99|dnsmasq`}, hurt: append(allPages, onLibvirt+": names")},
		{name: "two-six-and-input", commands: []string{"sysctl -w net.ipv6.conf.all.forwarding=0", "iptables-nft -A INPUT -i virbr0 -p udp --dport 53 -j REJECT"}, back: []string{"sysctl -w net.ipv6.conf.all.forwarding=1"},
			truth:  "IPv6 is not forwarded (br0), and INPUT rejects DNS of virbr0",
			places: []string{onBridge, onLibvirt}, names: []string{"forwarding", "INPUT"}, hurt: []string{onBridge + ": page6", onLibvirt + ": names"}},
		{name: "two-rule-and-snat", commands: []string{"ip rule add priority 900 iif br0 to 198.51.100.0/24 blackhole", "iptables-nft -t nat -I POSTROUTING -s 172.17.0.0/24 -o up0 -j SNAT --to-source 198.51.100.77", "nft delete table inet nat", "iptables-nft -t nat -A POSTROUTING -o up0 -j MASQUERADE", "ip6tables-nft -t nat -A POSTROUTING -o up0 -j MASQUERADE"}, back: []string{"ip rule del priority 900"},
			truth:  "ip rule blackhole for br0, and a stale SNAT address for docker0",
			places: []string{onBridge, onDocker}, names: []string{"blackhole", `198\.51\.100\.77`}, hurt: []string{onBridge + ": page", onDocker + ": page"}},
		{name: "two-legacy-and-reject", commands: []string{"iptables-legacy -P FORWARD DROP", "nft add table inet admin", "nft add chain inet admin pass { type filter hook forward priority 10 ; }", "nft add rule inet admin pass iifname br0 reject with icmpx admin-prohibited"}, back: []string{"iptables-legacy -P FORWARD ACCEPT"},
			truth:  "iptables-legacy's policy DROP (all), and behind it inet admin rejects br0",
			places: allBridges, names: []string{"legacy", "admin"}, hurt: append(allPages, onBridge+": page6")},
	}
}
