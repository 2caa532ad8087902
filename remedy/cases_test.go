package remedy_test

import "strings"

func of(pairs ...string) map[string]string {
	out := map[string]string{}
	for _, p := range pairs {
		key, value, _ := strings.Cut(p, "=")
		out[key] = value
	}
	return out
}

// everywhere are the cases that every machine can have as they are.
var everywhere = []testCase{
	{"docker-user-accept", of("bridge=" + bridge), "", ""},
	{"docker-user-accept", of("bridge="+bridge, "family=v6"), "", ""},
	{"docker-user-accept", of("bridge=" + bridge), "iptables-nft -I DOCKER-USER -i nlbr0 -j ACCEPT", ""},                           // the user has that rule too
	{"docker-user-accept", of("bridge=" + bridge), "iptables-legacy -N DOCKER-USER\niptables-legacy -A DOCKER-USER -j RETURN", ""}, // of an earlier dockerd
	{"forward-accept", of(), "", ""},
	{"forward-accept", of("family=v6"), "", ""},
	{"ip-forward-on", of(), "", ""},
	{"ip-forward-on", of("family=v6"), "", ""},
	{"nat-on", of("subnet=10.77.0.0/24"), "", ""},
	{"nat-on", of("subnet=fd42:77::/64", "out="+bridge), "", ""},
	{"ipv4-only", of("bridge=" + bridge), "", ""},
	{"ipv4-only", of("bridge=" + bridge), "ip -6 address add fd42:78::1/64 dev nlbr0 nodad noprefixroute\n" +
		"ip -6 address add fd42:79::1/64 dev nlbr0 nodad preferred_lft 0", ""},
	{"ipv4-only", of("bridge=" + bridge), "ip link set nlbr0 addrgenmode none\nip -6 address flush dev nlbr0", ""},
	{"mtu-match", of("interface="+bridge, "mtu=1400"), "", ""},
	{"mtu-match", of("interface="+bridge, "mtu=1400", "how=link"), "", ""},
	{"dns-forwarder", of("bridge="+bridge, "server="+own), "", ""},
	{"proxy-on-bridge", of("bridge=" + bridge), "", ""},
	{"kvm-permission", of("device=" + devices + "/kvm"), "", ""},
	{"kvm-permission", of("device=" + devices + "/kvm"), "mount --bind " + devices + "/kvm " + devices + "/kvm\n" +
		"mount -o remount,bind,nodev " + devices + "/kvm", ""},
	{"dhcp-accept", of("bridge=" + bridge), firewallInput, ""},
	{"dhcp-accept", of("bridge=" + bridge), "iptables-nft -A INPUT -p udp --dport 67 -j DROP\niptables-nft -A INPUT -j LOG", ""},
	{"bridge-subnet", of("bridge="+bridge, "address=10.99.0.1/24", "socket="+lxdSocket), "", ""},
	{"docker-data-root", of("path=/tmp/docker"), "", ""},
	{"docker-mtu", of("mtu=1400"), "", ""},
	{"docker-mtu", of("mtu=1400", "file=/etc/docker/other.json"), "", ""},
	{"storage-driver", of("driver=vfs"), "", ""},
	{"registry-mirror", of("url=https://mirror.example"), "", ""},
	{"ip-forward-no-drop", of(), "", ""},
	{"docker-network-mtu", of("mtu=1400"), "", ""},
	{"firewall-forward-accept", of("bridge=" + bridge), firewall, ""},
	{"firewall-forward-accept", of("bridge=" + bridge), firewallLast, ""},
	{"firewall-forward-accept", of("bridge="+bridge, "table=inet fw", "chain=guests"), firewall + firewallLimited, ""},
	{"firewall-forward-accept", of("bridge=" + bridge), `iptables-nft -A FORWARD -i nlbr0 -p tcp --dport 80 -m comment --comment it's"quoted" -c 3 180 -j DROP
iptables-nft -A FORWARD -i nlbr0 -j LOG`, ""},
	{"firewall-forward-accept", of("bridge=" + bridge), "iptables-legacy -A FORWARD -i nlbr0 -c 3 180 -j REJECT\niptables-legacy -A FORWARD -i nlbr0 -j LOG", ""},
	{"firewall-forward-accept", of("bridge="+bridge, "chain=DOCKER-USER"), "iptables-nft -I DOCKER-USER -i nlbr0 -j DROP", ""}, // the user's own chain, whatever its name
	{"docker-mtu", of("mtu=1400", "file=/etc/docker/linked.json"), linked, ""},
	{"accept-before", of("table=inet fw", "chain=forward", "in="+bridge, "answers=yes"), firewall, ""},
	{"accept-before", of("table=inet fw", "chain=forward", "handle=4", "in="+bridge, "to=198.51.100.10,2001:db8::10", "ports=tcp/80,udp/53,icmp"), firewall, ""},
	{"accept-before", of("table=ip filter", "chain=FORWARD", "program=iptables", "in="+bridge, "answers=yes"), "", ""},
	{"accept-before", of("table=ip6 filter", "chain=FORWARD", "program=ip6tables", "out="+bridge, "state=answers"), "ip6tables-nft -A FORWARD -j DROP", ""},
	{"accept-before", of("table=ip filter", "chain=FORWARD", "program=iptables", "in="+bridge, "answers=yes"),
		"nft add rule ip filter FORWARD ct state established,related accept", ""}, // iptables cannot read it
	{"accept-before", of("table=ip filter", "chain=FORWARD", "program=iptables-legacy", "handle=2", "index=2", "in="+bridge, "answers=yes"),
		"iptables-legacy -A FORWARD -i nlbr0 -j LOG\niptables-legacy -A FORWARD -i nlbr0 -j REJECT", ""},
	{"accept-before", of("table=ip6 raw", "chain=PREROUTING", "program=ip6tables-legacy", "in="+bridge), "ip6tables-legacy -t raw -P PREROUTING DROP", ""},
	{"interface-forwarding-on", of("interface=" + bridge), "sysctl -q -w net.ipv4.conf.nlbr0.forwarding=0", ""},
	{"rp-filter-loose", of("interface=" + bridge), "sysctl -q -w net.ipv4.conf.nlbr0.rp_filter=1", ""},
	{"route-by-main", of("network=10.77.0.0/24", "way=from", "priority=99"), "", ""},
	{"route-by-main", of("network=fd42:77::/64", "way=to", "priority=99"), "", ""},
	{"conntrack-timeout", of("setting=nf_conntrack_tcp_timeout_syn_sent", "seconds=77"), "", ""},
	{"arp-on", of("interface=" + bridge), "ip link set nlbr0 arp off", ""},
	{"arp-answer", of("interface=" + bridge), "sysctl -q -w net.ipv4.conf.nlbr0.arp_ignore=8", ""},
	{"neighbour-ask", of("interface="+bridge, "address=10.77.0.9"), "ip neigh replace 10.77.0.9 dev nlbr0 lladdr 02:00:00:00:00:66 nud permanent", ""},
	{"route-to-bridge", of("bridge="+bridge, "address=10.77.0.9"), "", ""},
	{"bridge-address", of("bridge="+bridge, "address=10.79.0.1/24"), "", ""},
	{"conntrack-max", of("max=524288"), "", "the kernel lets only the machine's own network namespace change it, which tests leave as it is"},
}

// firewall is a rule set that is not Docker's, with what makes rules hard to put
// back: a comment, a limit, counters and neighbours that look alike.
const firewall = `nft add table inet fw
nft add chain inet fw forward { type filter hook forward priority 0; }
nft add rule inet fw forward iifname other0 counter drop
nft add rule inet fw forward iifname nlbr0 oifname lo accept
nft add rule inet fw forward iifname nlbr0 counter packets 7 bytes 420 reject comment no-guests
nft add rule inet fw forward iifname nlbr0 oifname lo accept
`

// linked is a configuration that is kept elsewhere, with an owner of its own.
const linked = `touch /etc/docker/elsewhere.json
chown 12:34 /etc/docker/elsewhere.json
ln -sfn elsewhere.json /etc/docker/linked.json
`

// firewallLast ends with its only rule that drops, which names no interface.
const firewallLast = `nft add table inet fw
nft add chain inet fw forward { type filter hook forward priority 0; }
nft add rule inet fw forward ct state established accept
nft add rule inet fw forward meta nfproto ipv4 oifname eth0 counter drop
`

// firewallInput drops what a guest asks the runner itself for, by a jump.
const firewallInput = `nft add table inet fw
nft add chain inet fw leases
nft add rule inet fw leases udp dport 67 counter drop
nft add chain inet fw input { type filter hook input priority 0; }
nft add rule inet fw input iifname nlbr0 jump leases
`

const firewallLimited = `nft add chain inet fw guests
nft add rule inet fw forward iifname nlbr0 jump guests
nft add rule inet fw guests iifname nlbr0 limit rate over 10/second burst 5 packets counter packets 7 bytes 420 reject
`
