package main

// hostsFaultsBelow are faults beside the firewall: routes, names, settings, links.
func hostsFaultsBelow() []row {
	return []row{
		{name: "route-wireguard-all", commands: []string{"ip link add wg0 type ifb", "ip link set wg0 up", "ip address add 10.200.0.2/32 dev wg0", "ip route add default dev wg0 table 51820", "ip rule add not fwmark 51820 lookup 51820", "ip rule add table main suppress_prefixlength 0"},
			back:   []string{"ip rule del not fwmark 51820 lookup 51820", "ip rule del table main suppress_prefixlength 0", "ip link del wg0", "ip route add 198.51.100.0/24 dev up0 proto kernel scope link src 198.51.100.1"},
			do:     func(w *hostSuite) { w.farSite() },
			truth:  "wg-quick with AllowedIPs 0.0.0.0/0 and a peer that is gone: all leaves by wg0, of the host too",
			places: everywhere, names: []string{"wg0|51820"}, hurt: append([]string{onRunner + ": page"}, allPages...)},
		{name: "route-tailscale-accept", commands: []string{"ip link add tailscale0 type ifb", "ip link set tailscale0 up", "ip route add 172.17.0.0/24 dev tailscale0 table 52", "ip rule add priority 5210 fwmark 0x80000/0xff0000 lookup main", "ip rule add priority 5270 lookup 52"},
			back:   []string{"ip rule del priority 5210", "ip rule del priority 5270", "ip link del tailscale0"},
			truth:  "tailscale --accept-routes: another node offers 172.17.0.0/24, answers to docker0's guests leave by tailscale0",
			places: []string{onDocker}, names: []string{"tailscale0|table 52"}, hurt: []string{onDocker + ": page"}},
		{name: "route-prohibit-iif", commands: []string{"ip rule add priority 900 iif docker0 prohibit"}, back: []string{"ip rule del priority 900"},
			truth:  "ip rule: what comes in by docker0 is prohibited",
			places: []string{onDocker}, names: []string{"prohibit", "docker0"}, hurt: []string{onDocker + ": page"}},
		{name: "route-connected-lost", commands: []string{"ip route del 192.168.122.0/24 dev virbr0"}, back: []string{"ip route add 192.168.122.0/24 dev virbr0 proto kernel scope link src 192.168.122.1"},
			truth:  "the connected route of virbr0 is gone: answers to its guests leave by the uplink",
			places: []string{onLibvirt}, names: []string{`192\.168\.122\.0/24|route`}, hurt: []string{onLibvirt + ": page", onLibvirt + ": names"}},
		{name: "route-overlap-same", commands: []string{"ip link add virbr1 address 52:54:00:00:00:77 type bridge", "ip address add 192.168.122.254/24 dev virbr1", "ip link add tap-x master virbr1 type veth peer name tap-y", "ip link set tap-x up", "ip link set tap-y up", "ip link set virbr1 up", "ip route del 192.168.122.0/24 dev virbr0", "ip route append 192.168.122.0/24 dev virbr0 proto kernel scope link src 192.168.122.1"},
			back:   []string{"ip link del virbr1", "ip link del tap-x"},
			truth:  "virbr1 has 192.168.122.0/24 too, and its route comes first: virbr0's guests get no answers",
			places: []string{onLibvirt}, names: []string{`virbr1`}, hurt: []string{onLibvirt + ": page"}},
		{name: "route-rpfilter-two-ways", do: func(w *hostSuite) {
			w.secondUplink()
			for _, c := range []string{"ip route add default via 203.0.113.2 dev up1 table 100", "ip rule add priority 800 fwmark 1 lookup 100", "iptables-nft -t mangle -A PREROUTING -i br0 ! -d 10.91.3.0/24 -j MARK --set-mark 1", "sysctl -w net.ipv4.conf.up1.rp_filter=1"} {
				w.command(c)
			}
		}, back: []string{"ip rule del priority 800", "ip link del up1"},
			truth:  "two uplinks: br0 leaves by up1 (fwmark 1), answers from 198.51.100.2 come in by up1, strict rp_filter drops them as main has them at up0",
			places: []string{onBridge}, names: []string{"rp_filter", "up1"}, hurt: []string{onBridge + ": page"}},
		{name: "arp-wrong-neighbour", commands: []string{"ip neigh replace 198.51.100.2 lladdr 02:00:00:00:00:99 dev up0 nud permanent"}, back: []string{"ip neigh del 198.51.100.2 dev up0"},
			truth:  "a permanent neighbour entry of 198.51.100.2 with a wrong hardware address: host and guests",
			places: everywhere, names: []string{"(?i)neighbou?r|02:00:00:00:00:99"}, hurt: append([]string{onRunner + ": page"}, allPages...)},
		{name: "arp-ignore", commands: []string{"sysctl -w net.ipv4.conf.br0.arp_ignore=8"}, back: []string{"sysctl -w net.ipv4.conf.br0.arp_ignore=0"}, do: func(w *hostSuite) { w.Guest.Do(w.t, func() { w.run("ip", "neigh", "flush", "all") }) },
			truth:  "arp_ignore=8 on br0: the host does not answer who has the gateway's address",
			places: []string{onBridge}, names: []string{"arp_ignore"}, hurt: []string{onBridge + ": page"}},
		{name: "arp-table", commands: []string{"arptables-nft -A INPUT -i virbr0 -j DROP"},
			truth:  "arptables drops ARP on virbr0",
			places: []string{onLibvirt}, names: []string{"(?i)arp"}, hurt: []string{onLibvirt + ": page"}, do: func(w *hostSuite) { w.bridgeGuests[3].do(func() { w.run("ip", "neigh", "flush", "all") }) }},
		{name: "arp-table-docker0", commands: []string{"arptables-nft -A INPUT -i docker0 -j DROP"},
			truth:  "arptables drops ARP on docker0",
			places: []string{onDocker}, names: []string{"(?i)arp"}, hurt: []string{onDocker + ": page"}, do: func(w *hostSuite) { w.bridgeGuests[2].do(func() { w.run("ip", "neigh", "flush", "all") }) }},
		{name: "six-forwarding-off", commands: []string{"sysctl -w net.ipv6.conf.all.forwarding=0"}, back: []string{"sysctl -w net.ipv6.conf.all.forwarding=1"},
			truth:  "IPv6 is not forwarded (net.ipv6.conf.all.forwarding=0): br0's IPv6 alone",
			places: []string{onBridge}, names: []string{`net\.ipv6\.conf\.\S+forwarding`}, hurt: []string{onBridge + ": page6"}},
		{name: "six-rule-on-answers", commands: []string{"ip6tables-nft -A FORWARD -o br0 -p tcp -j REJECT --reject-with tcp-reset"},
			truth:  "ip6tables rejects TCP answers to br0, IPv6 alone",
			places: []string{onBridge}, names: []string{"FORWARD"}, hurt: []string{onBridge + ": page6"}},
		{name: "dns-first-server-dead", do: func(w *hostSuite) { w.resolvers("198.51.100.99", "198.51.100.2") },
			truth:  "the first server of resolv.conf, 198.51.100.99, does not answer: host and docker0's guests wait for each name",
			places: []string{onRunner, onDocker}, names: []string{`198\.51\.100\.99`}, hurt: []string{onRunner + ": names", onDocker + ": names"}},
		{name: "dns-dnsmasq-upstream-dead", do: func(w *hostSuite) { w.names("--server=198.51.100.99") },
			truth:  "virbr0's dnsmasq asks 198.51.100.99, which does not answer",
			places: []string{onLibvirt}, names: []string{`198\.51\.100\.99|dnsmasq`}, hurt: []string{onLibvirt + ": names"}},
		{name: "dns-dnsmasq-no-upstream", do: func(w *hostSuite) { w.names() },
			truth:  "virbr0's dnsmasq has no upstream server and refuses",
			places: []string{onLibvirt}, names: []string{"(?i)refused|upstream|dnsmasq"}, hurt: []string{onLibvirt + ": names"}},
		{name: "dns-dnsmasq-port0", do: func(w *hostSuite) { w.names("--port=0", "--dhcp-option=option:dns-server,192.168.122.1") },
			truth:  "virbr0's dnsmasq serves DHCP alone (port=0) and offers itself as resolver: nobody listens on 53",
			places: []string{onLibvirt}, names: []string{"(?i)listen"}, hurt: []string{onLibvirt + ": names"}},
		{name: "dns-dhcp-offers-dead", do: func(w *hostSuite) {
			w.names("--server=198.51.100.2", "--dhcp-option=option:dns-server,192.168.122.250")
		},
			truth:  "virbr0's DHCP server offers the resolver 192.168.122.250, which is not there",
			places: []string{onLibvirt}, names: []string{`192\.168\.122\.250`}},
		{name: "dhcp-wrong-router", do: func(w *hostSuite) { w.names("--server=198.51.100.2", "--dhcp-option=option:router,192.168.122.254") },
			truth:  "virbr0's DHCP server offers the router 192.168.122.254, which is not there",
			places: []string{onLibvirt}, names: []string{`192\.168\.122\.254`}},
		{name: "mtu-uplink-1400", commands: []string{"ip link set up0 mtu 1400", "site:ip link set eth0 gso_max_segs 1"}, back: []string{"ip link set up0 mtu 1500", "site:ip link set eth0 gso_max_segs 65535"},
			truth:  "the uplink carries 1400 bytes, guests offer an MSS for 1500 and nobody clamps: large answers are lost",
			places: allBridges, names: []string{"1400|(?i)mtu|mss"}, hurt: allPages},
		{name: "tc-tbf-docker0", commands: []string{"tc qdisc add dev docker0 root tbf rate 48kbit burst 1600 limit 3000"}, back: []string{"tc qdisc del dev docker0 root"},
			truth:  "a shaper (wondershaper) of 48 kbit/s on docker0: large answers take longer than anybody waits",
			places: []string{onDocker}, names: []string{"tbf|qdisc"}, hurt: []string{onDocker + ": page"}},
		{name: "xfrm-block", commands: []string{"ip xfrm policy add src 10.91.3.0/24 dst 0.0.0.0/0 dir fwd priority 10 action block"}, back: []string{"ip xfrm policy deleteall"},
			truth:  "an IPsec kill switch: policy of xfrm (dir fwd) blocks br0's network",
			places: []string{onBridge}, names: []string{"(?i)xfrm|ipsec"}, hurt: []string{onBridge + ": page"}},
		{name: "ttl-1", commands: []string{"iptables-nft -t mangle -A PREROUTING -i virbr0 ! -d 192.168.122.0/24 -j TTL --ttl-set 1"},
			truth:  "mangle PREROUTING sets the TTL of virbr0's packets to 1: not forwarded, time exceeded",
			places: []string{onLibvirt}, names: []string{"(?i)ttl|time exceeded"}, hurt: []string{onLibvirt + ": page"}},
		{name: "bridge-address-lost", commands: []string{"ip address del 172.17.0.1/24 dev docker0"}, back: []string{"ip address add 172.17.0.1/24 brd + dev docker0"},
			truth:  "docker0 has lost its address: its guests have no gateway",
			places: []string{onDocker}, names: []string{"address"}, hurt: []string{onDocker + ": page"}},
		{name: "bridge-stp-delay", commands: []string{"ip link set virbr0 type bridge forward_delay 1500 stp_state 1"}, back: []string{"ip link set virbr0 type bridge stp_state 0"},
			truth:  "STP with 15 s forward delay on virbr0: a new port is deaf for 30 s (DHCP and first probes time out)",
			places: []string{onLibvirt}, names: []string{"(?i)stp|forward.delay|learning"}},
		{name: "route-narrower-strict", commands: []string{"sysctl -w net.ipv4.conf.virbr0.rp_filter=1", "ip route add 192.168.122.48/28 dev docker0", "ip route add 192.168.122.64/27 dev docker0"}, back: []string{"ip route del 192.168.122.48/28", "ip route del 192.168.122.64/27", "sysctl -w net.ipv4.conf.virbr0.rp_filter=0"},
			truth:  "narrower routes send most of virbr0's guests (192.168.122.48/28, .64/27) to docker0, and strict rp_filter on virbr0 drops what they send",
			places: []string{onLibvirt}, names: []string{`rp_filter|192\.168\.122\.48/28|192\.168\.122\.64/27`}},
	}
}

// farSite has the site behind the gateway of a default route alone, as the internet is.
func (w *hostSuite) farSite() {
	w.t.Helper()
	w.command("ip route del 198.51.100.0/24 dev up0")
}
