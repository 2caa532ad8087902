package main

import (
	"github.com/stretchr/testify/require"
	"github.com/vishvananda/netlink"
)

var (
	allBridges = []string{onBridge, onDocker, onLibvirt}
	everywhere = []string{onRunner, onBridge, onDocker, onLibvirt}
	allPages   = []string{onBridge + ": page", onDocker + ": page", onLibvirt + ": page"}
)

// hostsFaults are firewalls: whole rule sets as products write them.
func hostsFaults() []row {
	return []row{
		{name: "fw-ufw-defaults", rules: []string{"ufw.v4", "ufw.v6"},
			truth:  "ufw's defaults: FORWARD policy DROP for all; INPUT drops DHCP and DNS of the bridges too",
			places: allBridges, names: []string{"FORWARD", "ufw|UFW"},
			hurt: append(allPages, onLibvirt+": lease", onLibvirt+": names", onBridge+": names", onBridge+": page6")},
		{name: "fw-ufw-dhcp-dns-allowed", rules: []string{"ufw.v4", "ufw.v6"},
			commands: []string{"iptables-nft -A ufw-user-input -i virbr0 -j ACCEPT", "iptables-nft -A ufw-user-input -i br0 -j ACCEPT"},
			truth:    "ufw allow in on virbr0/br0 is there, ufw route allow is not: FORWARD policy DROP",
			places:   allBridges, names: []string{"FORWARD", "ufw|UFW"}, hurt: append(allPages, onBridge+": page6")},
		{name: "fw-ufw-and-docker", rules: []string{"ufw.v4", "docker28.v4"},
			commands: []string{"iptables-nft -D FORWARD -j DOCKER-FORWARD", "iptables-nft -I FORWARD -j DOCKER-FORWARD", "iptables-nft -D FORWARD -j DOCKER-USER", "iptables-nft -I FORWARD -j DOCKER-USER", "iptables-nft -A ufw-user-input -i virbr0 -j ACCEPT", "iptables-nft -A ufw-user-input -i br0 -j ACCEPT"},
			truth:    "Docker accepts its own before ufw; others meet the FORWARD policy DROP",
			places:   []string{onBridge, onLibvirt}, names: []string{"FORWARD"}, hurt: []string{onBridge + ": page", onLibvirt + ": page"}},
		{name: "fw-firewalld-unassigned", rules: []string{"firewalld.nft"},
			truth:  "br0 is in no zone of firewalld, so in public: forwarding and DNS are rejected (admin-prohibited)",
			places: []string{onBridge}, names: []string{"filter_FORWARD|filter_INPUT", "firewalld"}, hurt: []string{onBridge + ": page", onBridge + ": page6", onBridge + ": names"}},
		{name: "fw-docker28-libvirt10", rules: []string{"docker28.v4", "libvirt10.nft"},
			truth:  "Docker's FORWARD policy DROP; libvirt's accept in a table of its own does not undo it",
			places: []string{onBridge, onLibvirt}, names: []string{"FORWARD", "[Dd]ocker"}, hurt: []string{onBridge + ": page", onLibvirt + ": page"}},
		{name: "fw-docker24-libvirt9", rules: []string{"docker24.v4", "libvirt.v4"},
			truth:  "Docker's FORWARD policy DROP; libvirt's chains come first and accept, so only br0 (LXD-like) is dropped",
			places: []string{onBridge}, names: []string{"FORWARD", "[Dd]ocker"}, hurt: []string{onBridge + ": page"}},
		{name: "fw-docker-user-without-established", rules: []string{"docker-user-wrong.v4"},
			truth:  "a rule in DOCKER-USER drops all that comes in by up0 and is not from 203.0.113.10, answers too",
			places: allBridges, names: []string{"DOCKER-USER", `203\.0\.113\.10`}, hurt: allPages},
		{name: "fw-fail2ban-bans-site", rules: []string{"fail2ban.v4"},
			truth:  "f2b-recidive rejects TCP from 198.51.100.2 in INPUT: the host's own connections get no answers; guests are well",
			places: []string{onRunner}, names: []string{"f2b-recidive"}, hurt: []string{onRunner + ": page"}},
		{name: "fw-shorewall-unlisted", rules: []string{"shorewall.v4"},
			truth:  "docker0 and virbr0 are in no zone of Shorewall: FORWARD goes to chain reject",
			places: []string{onDocker, onLibvirt}, names: []string{"FORWARD|reject"}, hurt: []string{onDocker + ": page", onLibvirt + ": page"}},
		{name: "fw-csf-defaults", rules: []string{"csf.v4"},
			truth:  "csf: FORWARD policy DROP without any rule (all bridges, IPv4); LOGDROPIN drops DHCP (virbr0)",
			places: allBridges, names: []string{"FORWARD", "LOGDROPIN|dhcp-blocked"}, hurt: append(allPages, onLibvirt+": lease")},
		{name: "fw-calico-host-endpoint", rules: []string{"calico.v4"},
			truth:  "Calico's cali-thfw-up0 drops what is forwarded out of up0 and no policy marked",
			places: allBridges, names: []string{"cali-thfw-up0"}, hurt: allPages},
		{name: "fw-nodelocaldns-notrack", rules: []string{"nodelocaldns.v4"},
			truth:  "raw PREROUTING: DNS to 198.51.100.2 is not tracked, so leaves untranslated; only docker0's guests ask it themselves",
			places: []string{onDocker}, names: []string{"raw|NOTRACK|notrack"}, hurt: []string{onDocker + ": names"}},
		{name: "fw-docker27-ip6", rules: []string{"docker27.v6"},
			truth:  "Docker's policy DROP of ip6tables FORWARD: IPv6 of br0 alone",
			places: []string{onBridge}, names: []string{"FORWARD", "IPv6|ip6"}, hurt: []string{onBridge + ": page6"}},
		{name: "fw-legacy-policy", commands: []string{"iptables-legacy -P FORWARD DROP"}, back: []string{"iptables-legacy -P FORWARD ACCEPT"},
			truth:  "iptables-legacy's FORWARD policy DROP, which nft list does not show",
			places: allBridges, names: []string{"FORWARD", "legacy"}, hurt: allPages},
		{name: "fw-input-default-drop", commands: []string{"nft add table inet filter", "nft add chain inet filter input { type filter hook input priority filter ; policy drop ; }", "nft add rule inet filter input ct state established,related accept", "nft add rule inet filter input iif lo accept", "nft add rule inet filter input meta l4proto { icmp, ipv6-icmp } accept", "nft add rule inet filter input tcp dport 22 accept"},
			truth:  "a workstation's inet filter input with policy drop: DNS of br0 and virbr0, and DHCP of virbr0",
			places: []string{onBridge, onLibvirt}, names: []string{"input"}, hurt: []string{onBridge + ": names", onLibvirt + ": names", onLibvirt + ": lease"}},
		{name: "fw-nfqueue-nobody", commands: []string{"iptables-nft -A FORWARD -p tcp -j NFQUEUE --queue-num 0"},
			truth:  "an IDS that has ended: NFQUEUE 0 has no reader, TCP that is forwarded is dropped",
			places: allBridges, names: []string{"NFQUEUE|queue"}, hurt: allPages},
		{name: "fw-newrate", commands: []string{"nft add table inet flood", "nft add chain inet flood pass { type filter hook forward priority -5 ; }", "nft add rule inet flood pass iifname virbr0 tcp flags & ( syn | ack ) == syn limit rate over 2/minute burst 1 packets drop"},
			truth:  "flood protection: more than 2 new connections a minute from virbr0 are dropped",
			places: []string{onLibvirt}, names: []string{"limit|flood"}},
		{name: "fw-bridge-family", commands: []string{"nft add table bridge iso", "nft add chain bridge iso pre { type filter hook prerouting priority -300 ; }", "nft add rule bridge iso pre ip saddr 192.168.122.0/24 ip daddr != 192.168.122.0/24 drop"},
			truth:  "a table of the bridge family drops what virbr0's guests send elsewhere",
			places: []string{onLibvirt}, names: []string{"iso"}, hurt: []string{onLibvirt + ": page"}},
		{name: "fw-ebtables-arp", do: func(w *hostSuite) { w.bridgeGuests[2].do(func() { w.run("ip", "neigh", "flush", "all") }) }, commands: []string{"ebtables -t nat -A PREROUTING -p ARP --arp-ip-src 172.17.0.0/24 -j DROP"},
			truth:  "ebtables drops ARP of docker0's guests: they find no gateway",
			places: []string{onDocker}, names: []string{"(?i)ebtables|bridge nat|ARP"}, hurt: []string{onDocker + ": page", onDocker + ": names"}},
		{name: "fw-netdev-bridge", commands: []string{"nft add table netdev guard", "nft add chain netdev guard early { type filter hook ingress device docker0 priority 0 ; }", "nft add rule netdev guard early ip daddr 198.51.100.0/24 drop"},
			truth:  "a netdev table on docker0 drops what goes to 198.51.100.0/24",
			places: []string{onDocker}, names: []string{"guard"}, hurt: []string{onDocker + ": page"}},
		{name: "nat-wrong-network", commands: []string{"nft delete table inet nat", "iptables-nft -t nat -A POSTROUTING -s 172.18.0.0/16 -o up0 -j MASQUERADE", "iptables-nft -t nat -A POSTROUTING -s 10.91.3.0/24 -o up0 -j MASQUERADE", "iptables-nft -t nat -A POSTROUTING -s 192.168.122.0/24 -o up0 -j MASQUERADE", "ip6tables-nft -t nat -A POSTROUTING -o up0 -j MASQUERADE"},
			truth:  "docker0's network 172.17.0.0/24 is not translated: the rule names 172.18.0.0/16",
			places: []string{onDocker}, names: []string{"(?i)nat|masquerade|translat"}, hurt: []string{onDocker + ": page", onDocker + ": names"}},
		{name: "nat-stale-snat", commands: []string{"iptables-nft -t nat -A POSTROUTING -s 192.168.122.0/24 -o up0 -j SNAT --to-source 198.51.100.77", "nft delete table inet nat", "nft add table inet nat", "nft add chain inet nat post { type nat hook postrouting priority 110 ; }", "nft add rule inet nat post oifname up0 masquerade"},
			truth:  "virbr0's network is given 198.51.100.77, which the host has not any more: answers go nowhere",
			places: []string{onLibvirt}, names: []string{`198\.51\.100\.77`}, hurt: []string{onLibvirt + ": page"}},
		{name: "nat-proxy-gone", commands: []string{"iptables-nft -t nat -A PREROUTING -i virbr0 -p tcp --dport 80 -j REDIRECT --to-ports 3129"},
			truth:  "a transparent proxy that is gone: REDIRECT to port 3129 where nobody listens",
			places: []string{onLibvirt}, names: []string{"3129|REDIRECT|redirect"}, hurt: []string{onLibvirt + ": page"}},
		{name: "nat-pihole-gone", commands: []string{"iptables-nft -t nat -A PREROUTING -i docker0 -p udp --dport 53 -j DNAT --to-destination 172.17.0.53:53"},
			truth:  "DNS of docker0 is given to 172.17.0.53, a container that is gone",
			places: []string{onDocker}, names: []string{`172\.17\.0\.53|DNAT`}, hurt: []string{onDocker + ": names"}},
	}
}

// secondUplink gives the host another way to the site.
func (w *hostSuite) secondUplink() {
	w.t.Helper()
	require.NoError(w.t, w.Router.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "up1"}, PeerName: "eth1", PeerNamespace: netlink.NsFd(w.Site.FD())}))
	for _, c := range []string{"ip address add 203.0.113.1/24 dev up1", "ip link set up1 up", "site:ip address add 203.0.113.2/24 dev eth1", "site:ip link set eth1 up"} {
		w.command(c)
	}
	w.nft("table inet nat { chain post { oifname up1 masquerade; }; }")
}
