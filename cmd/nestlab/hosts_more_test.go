package main

// hostsMore are faults that came to mind after the answers to the first ones.
func hostsMore() []row {
	masquerade := func(rule string) []string {
		return []string{"nft delete table inet nat", "ip6tables-nft -t nat -A POSTROUTING -o up0 -j MASQUERADE", rule, "iptables-nft -t nat -A POSTROUTING -o up0 -j MASQUERADE"}
	}
	return []row{
		{name: "more-snat-one-chain", commands: masquerade("iptables-nft -t nat -A POSTROUTING -s 192.168.122.0/24 -o up0 -j SNAT --to-source 198.51.100.77"),
			truth:  "virbr0's network is given 198.51.100.77, which the host has not; all else is masqueraded by the next rule of the chain",
			places: []string{onLibvirt}, names: []string{`198\.51\.100\.77`}, hurt: []string{onLibvirt + ": page"}},
		{name: "more-nat-exempt", commands: masquerade("iptables-nft -t nat -A POSTROUTING -s 172.17.0.0/24 -d 198.51.100.0/24 -j ACCEPT"),
			truth:  "a NAT exemption of a site-to-site VPN: what docker0 sends to 198.51.100.0/24 is not translated",
			places: []string{onDocker}, names: []string{`198\.51\.100\.0/24`}, hurt: []string{onDocker + ": page", onDocker + ": names"}},
		{name: "more-bogon-egress", commands: []string{"nft add table inet egress", "nft add chain inet egress post { type filter hook postrouting priority 0 ; }", "nft add rule inet egress post oifname up0 ip saddr 172.16.0.0/12 drop"},
			truth:  "an egress filter for bogons stands before source NAT: it drops docker0's private addresses",
			places: []string{onDocker}, names: []string{"egress"}, hurt: []string{onDocker + ": page", onDocker + ": names"}},
		{name: "more-ct-zone", commands: []string{"nft add table inet zones", "nft add chain inet zones pre { type filter hook prerouting priority raw ; }", "nft add rule inet zones pre iifname br0 ct zone set 5"},
			truth:  "br0's packets are in conntrack zone 5, answers in zone 0: NAT is not undone, IPv4 and IPv6",
			places: []string{onBridge}, names: []string{"zone"}, hurt: []string{onBridge + ": page", onBridge + ": page6"}},
		{name: "more-length", commands: []string{"iptables-nft -A FORWARD -o docker0 -m length --length 1200:65535 -j DROP"},
			truth:  "a rule drops what is longer than 1200 bytes to docker0: small answers come, large ones do not",
			places: []string{onDocker}, names: []string{"length"}, hurt: []string{onDocker + ": page"}},
		{name: "more-random-loss", commands: []string{"nft add table inet chaos", "nft add chain inet chaos pass { type filter hook forward priority 0 ; }", "nft add rule inet chaos pass oifname virbr0 numgen random mod 10 < 7 drop"},
			truth:  "a chaos test left behind: 7 of 10 packets to virbr0 are dropped at random",
			places: []string{onLibvirt}, names: []string{"chaos"}},
		{name: "more-output-drop", commands: []string{"nft add table inet filter", "nft add chain inet filter output { type filter hook output priority filter ; policy drop ; }", "nft add rule inet filter output ct state established,related accept", "nft add rule inet filter output oif lo accept", "nft add rule inet filter output meta l4proto { icmp, ipv6-icmp } accept", "nft add rule inet filter output udp dport { 53, 67, 68 } accept"},
			truth:  "the host's own OUTPUT drops all but DNS and DHCP; guests are well",
			places: []string{onRunner}, names: []string{"output"}, hurt: []string{onRunner + ": page", onRunner + ": page6"}},
		{name: "more-hashlimit-burst", commands: []string{"iptables-nft -A INPUT -p udp --dport 53 -m hashlimit --hashlimit-above 500/sec --hashlimit-name dns -j DROP"},
			truth:  "a limit of DNS packets has iptables' default burst of 5: of more at once some are lost, now and then",
			places: []string{onBridge}, names: []string{"hashlimit|INPUT"}},
		{name: "more-nft-snat", commands: []string{"nft insert rule inet nat post ip saddr 192.168.122.0/24 oifname up0 snat ip to 198.51.100.77"},
			truth:  "as more-snat-one-chain, in a chain of nftables",
			places: []string{onLibvirt}, names: []string{`198\.51\.100\.77`}, hurt: []string{onLibvirt + ": page"}},
		{name: "more-mark-dead-table", commands: []string{"ip rule add priority 700 fwmark 0x2 lookup 102", "ip route add unreachable default table 102", "iptables-nft -t mangle -A PREROUTING -i docker0 -j MARK --set-mark 0x2"}, back: []string{"ip rule del priority 700", "ip route flush table 102"},
			truth:  "a VPN of some containers that is gone: docker0's packets get mark 2, whose table 102 is unreachable",
			places: []string{onDocker}, names: []string{"102|fwmark 0x2"}, hurt: []string{onDocker + ": page"}},
		{name: "more-dnat-any", commands: []string{"iptables-nft -t nat -A PREROUTING -p tcp --dport 80 -j DNAT --to-destination 172.17.0.99:80"},
			truth:  "a port forward without -i or -d: each connection of guests to port 80 is sent to 172.17.0.99, which is gone",
			places: allBridges, names: []string{`172\.17\.0\.99`}, hurt: allPages},
		{name: "more-output-dns", commands: []string{"iptables-nft -A OUTPUT -o up0 -p udp --dport 53 -j DROP"},
			truth:  "OUTPUT drops the host's own DNS: names of the host, and of virbr0, whose dnsmasq asks from the host",
			places: []string{onRunner, onLibvirt}, names: []string{"OUTPUT"}, hurt: []string{onRunner + ": names", onLibvirt + ": names"}},
	}
}
