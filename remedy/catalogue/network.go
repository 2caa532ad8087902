package catalogue

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// The remedies for networks and guests.
const (
	NATOn           = "nat-on"
	IPv4Only        = "ipv4-only"
	MTUMatch        = "mtu-match"
	DNSForwarder    = "dns-forwarder"
	ProxyOnBridge   = "proxy-on-bridge"
	UserModeNetwork = "user-mode-network"
	LXDBeforeDocker = "lxd-before-docker"
	DHCPAccept      = "dhcp-accept"
	BridgeSubnet    = "bridge-subnet"
)

// ProxyPort is where proxy-on-bridge listens unless told otherwise.
const ProxyPort = "3128"

// The ways of mtu-match.
const (
	Clamp = "clamp"
	Link  = "link"
)

func network() []Remedy {
	return []Remedy{userModeNetwork(), natOn(), dhcpAccept(), bridgeSubnet(), ipv4Only(), mtuMatch(), dnsForwarder(), proxyOnBridge(), lxdBeforeDocker()}
}

// Table is the name of the nftables table that a remedy keeps for itself.
func Table(remedy, of string) string {
	return "nestlab-" + remedy + "-" + strings.NewReplacer("/", "-", ":", "-", "@", "-").Replace(of)
}

// dropTable takes a remedy's table away.
func dropTable(family, table string) []string {
	return []string{fmt.Sprintf("nft delete table %s %s", family, table)}
}

func natOn() Remedy {
	family := func(v values) string {
		if p, err := netip.ParsePrefix(v["subnet"]); err == nil && p.Addr().Is6() {
			return "ip6"
		}
		return "ip"
	}
	return Remedy{
		Name: NATOn, Breadth: OneBridge,
		About:        "masquerades what a subnet sends out of the runner, in a table of its own",
		Opens:        "Nothing that was dropped; what the subnet sends leaves with the runner's address, so that answers find back.",
		Cost:         "The other side no longer sees which guest asked. Not persistent across reboots.",
		Precondition: "the kernel has nftables",
		Parameters: []Parameter{
			{Name: "subnet", About: "the guests' network", Required: true, Example: "10.77.0.0/24", check: subnet},
			{Name: "out", About: "only what leaves through this interface", Example: "eth0", check: Interface},
		},
		commands: func(v values) []string {
			f, subnet, out := family(v), v.plain("subnet"), ""
			t := Table(NATOn, subnet)
			if v["out"] != "" {
				out = " oifname " + v.plain("out")
			}
			return []string{
				fmt.Sprintf("nft add table %s %s", f, t),
				fmt.Sprintf("nft add chain %s %s postrouting '{ type nat hook postrouting priority srcnat - 1; }'", f, t),
				fmt.Sprintf("nft add rule %s %s postrouting %s saddr %s %s daddr != %s%s masquerade", f, t, f, subnet, f, subnet, out),
			}
		},
		undo: func(v values) []string { return dropTable(family(v), Table(NATOn, v.plain("subnet"))) },
	}
}

const restartGuests = "restart the guests, or have them ask for their addresses again"

func dhcpAccept() Remedy {
	return Remedy{
		Name: DHCPAccept, Breadth: OneBridge,
		About:        "lets DHCP questions of a bridge's guests in, ahead of whatever of the runner's firewall drops them",
		Opens:        "The runner takes DHCP from guests of the bridge.",
		Cost:         "A firewall that rewrites its rules takes it away. Not persistent across reboots.",
		Precondition: "a chain on the input hook of nftables (iptables-nft included) has a rule or a policy that drops",
		Then:         restartGuests, Restarts: RestartGuests,
		Parameters: []Parameter{bridgeParameter()},
		commands: func(v values) []string {
			return []string{
				"nft -a list ruleset  # find each chain on the input hook that drops",
				fmt.Sprintf("nft insert rule FAMILY TABLE CHAIN iifname %s udp dport 67 accept", v.plain("bridge")),
			}
		},
		undo: func(values) []string { return []string{"nft delete rule FAMILY TABLE CHAIN handle HANDLE"} },
	}
}

func bridgeSubnet() Remedy {
	return Remedy{
		Name: BridgeSubnet, Breadth: OneBridge,
		About:        "gives a bridge of LXD another IPv4 network",
		Opens:        "Nothing.",
		Cost:         "Guests keep their former address, and have no network, until they ask again. What names them by address has to be told.",
		Precondition: "LXD manages the bridge; its socket may be used",
		Then:         restartGuests, ThenBack: restartGuests, Restarts: RestartGuests,
		Parameters: []Parameter{
			bridgeParameter(),
			{Name: "address", About: "the bridge's own address, with the prefix length of its network", Required: true, Example: "10.78.0.1/24", check: prefix},
			{Name: "socket", About: "LXD's socket", Default: LXDSocket, Example: LXDSocket, check: absolute},
		},
		commands: func(v values) []string {
			return []string{fmt.Sprintf("lxc network set %s ipv4.address %s", v["bridge"], v["address"])}
		},
		undo: func(v values) []string {
			return []string{fmt.Sprintf("lxc network set %s ipv4.address OLD", v["bridge"])}
		},
	}
}

func ipv4Only() Remedy {
	setting := func(to string) func(values) []string {
		return func(v values) []string {
			return []string{fmt.Sprintf("sysctl -w net/ipv6/conf/%s/disable_ipv6=%s", v["bridge"], to)}
		}
	}
	return Remedy{
		Name: IPv4Only, Breadth: OneBridge, Around: true, Restarts: RestartGuests,
		About:        "takes IPv6 off a bridge, so that its guests are not told a way that leads nowhere",
		Opens:        "Nothing.",
		Cost:         "Guests have no IPv6, not even to the runner. A guest that has a route already keeps it until it expires (30 minutes): restart it. An LXD bridge keeps it for good with `lxc network set BRIDGE ipv6.address=none`.",
		Precondition: "the bridge is there and has IPv6 on",
		Parameters:   []Parameter{bridgeParameter()},
		commands:     setting("1"),
		undo: func(v values) []string {
			return append(setting("0")(v), fmt.Sprintf("ip -6 address add ADDRESS dev %s  # each that it had", v["bridge"]))
		},
	}
}

func mtuMatch() Remedy {
	name := func(v values) string { return Table(MTUMatch, v.plain("interface")) }
	return Remedy{
		Name: MTUMatch, Breadth: OneBridge,
		About:        "fits packets to the path: clamps the segment size of TCP connections through an interface, or sets the interface's MTU",
		Opens:        "Nothing.",
		Cost:         "how=clamp helps TCP alone; how=link is only for guests whose own interface follows it (new ones). Not persistent across reboots.",
		Precondition: "the interface is there; with how=link its MTU differs",
		Parameters: []Parameter{
			{Name: "interface", About: "the bridge or interface", Required: true, Example: "lxdbr0", check: Interface},
			mtuParameter(),
			{Name: "how", About: "clamp or link", Default: Clamp, Example: Clamp, check: oneOf(Clamp, Link)},
		},
		commands: func(v values) []string {
			if v["how"] == Link {
				return []string{fmt.Sprintf("ip link set dev %s mtu %s", v["interface"], v["mtu"])}
			}
			out := []string{
				"nft add table inet " + name(v),
				fmt.Sprintf("nft add chain inet %s forward '{ type filter hook forward priority mangle; }'", name(v)),
			}
			for _, direction := range []string{"iifname", "oifname"} {
				for _, family := range []string{"ipv4", "ipv6"} {
					out = append(out, fmt.Sprintf("nft add rule inet %s forward %s %s meta nfproto %s tcp flags '& (syn | rst) == syn' tcp option maxseg size set %s",
						name(v), direction, v.plain("interface"), family, segment(v.plain("mtu"), family)))
				}
			}
			return out
		},
		undo: func(v values) []string {
			if v["how"] == Link {
				return []string{fmt.Sprintf("ip link set dev %s mtu OLD", v["interface"])}
			}
			return dropTable("inet", name(v))
		},
	}
}

// SegmentSize is the largest TCP segment of a packet of mtu bytes: less the 20
// bytes of the TCP header and the 20 or 40 of the IP header (RFC 9293, 3.7.1).
func SegmentSize(mtu int, v6 bool) int {
	if v6 {
		return mtu - 60
	}
	return mtu - 40
}

func segment(mtu, family string) string {
	n, err := strconv.Atoi(mtu)
	if err != nil {
		return mtu + "-HEADERS"
	}
	return strconv.Itoa(SegmentSize(n, family == "ipv6"))
}

func dnsForwarder() Remedy {
	return Remedy{
		Name: DNSForwarder, Breadth: OneBridge, Around: true,
		About:        "answers a bridge's DNS queries by a forwarder of nestlab's own, which asks a server that the runner reaches",
		Opens:        "Guests of the bridge reach one more port of the runner, which answers DNS.",
		Cost:         "Names that only the bridge's own resolver knows (guests' names) are not found. Ends with a reboot.",
		Precondition: "the bridge has an IPv4 address; the port is free; the server answers the runner",
		Parameters: []Parameter{
			bridgeParameter(),
			{Name: "server", About: "the server to ask (default: the first of /etc/resolv.conf)", Example: "192.0.2.53", check: server},
			portParameter("5300", "the forwarder's port"),
		},
		commands: func(v values) []string {
			ask, table := "", Table(DNSForwarder, v.plain("bridge"))
			if v["server"] != "" {
				ask = " " + v["server"]
			}
			out := []string{
				fmt.Sprintf("nestlab remedy serve dns ADDRESS-OF-%s:%s%s &", v["bridge"], v["port"], ask),
				"nft add table ip " + table,
				fmt.Sprintf("nft add chain ip %s prerouting '{ type nat hook prerouting priority dstnat; }'", table),
			}
			for _, protocol := range []string{"udp", "tcp"} {
				out = append(out, fmt.Sprintf("nft add rule ip %s prerouting iifname %s %s dport 53 redirect to :%s", table, v.plain("bridge"), protocol, v.plain("port")))
			}
			return out
		},
		undo: func(v values) []string {
			return append(dropTable("ip", Table(DNSForwarder, v.plain("bridge"))), fmt.Sprintf("pkill -xf '(.*/)?nestlab remedy serve dns ADDRESS-OF-'%s:%s'( .*)?'", v["bridge"], v["port"]))
		},
	}
}

func proxyOnBridge() Remedy {
	return Remedy{
		Name: ProxyOnBridge, Breadth: OneBridge, Around: true,
		About:        "runs a forward HTTP proxy on the bridge's address: guests get out as the runner does",
		Opens:        "Guests of the bridge reach by HTTP and HTTPS whatever the runner reaches, less its loopback and link-local addresses (the metadata of clouds).",
		Cost:         "Guests have to be told (http_proxy, apt's and dockerd's settings). Ends with a reboot.",
		Precondition: "the bridge has an IPv4 address; the port is free",
		Then:         "in the guests: export http_proxy=http://ADDRESS:PORT https_proxy=http://ADDRESS:PORT",
		ThenBack:     "in the guests: unset http_proxy https_proxy",
		Parameters:   []Parameter{bridgeParameter(), portParameter(ProxyPort, "the proxy's port")},
		commands: func(v values) []string {
			return []string{fmt.Sprintf("nestlab remedy serve proxy ADDRESS-OF-%s:%s &", v["bridge"], v["port"])}
		},
		undo: func(v values) []string {
			return []string{fmt.Sprintf("pkill -xf '(.*/)?nestlab remedy serve proxy ADDRESS-OF-'%s:%s", v["bridge"], v["port"])}
		},
	}
}

func userModeNetwork() Remedy {
	return Remedy{
		Name: UserModeNetwork, Breadth: OneGuest, ByHand: true,
		About:        "gives a QEMU guest user-mode networking: its connections are the runner's own and are not forwarded",
		Opens:        "Nothing.",
		Cost:         "The guest has to be restarted, is slower, cannot be reached but by forwarded ports, and has no ping.",
		Precondition: "the guest is QEMU's own, not LXD's",
		commands: func(values) []string {
			return []string{"qemu-system-x86_64 … -netdev user,id=n0 -device virtio-net-pci,netdev=n0"}
		},
		undo: func(values) []string { return []string{"start the guest with its former -netdev"} },
	}
}

func lxdBeforeDocker() Remedy {
	return Remedy{
		Name: LXDBeforeDocker, Breadth: Runner, ByHand: true,
		About:        "starts LXD before Docker: dockerd then finds ip_forward on, and leaves the FORWARD policy alone",
		Opens:        "The runner forwards between all of its interfaces whatever no rule drops.",
		Cost:         "Only works on a runner whose start is in your hands; on hosted ones Docker runs before your first step.",
		Precondition: "the order of start is yours to choose",
		commands: func(values) []string {
			return []string{
				"mkdir -p /etc/systemd/system/docker.service.d",
				`printf '[Unit]\nAfter=snap.lxd.daemon.unix.socket lxd.socket\n' > /etc/systemd/system/docker.service.d/lxd-first.conf`,
				"printf 'net.ipv4.ip_forward=1\\n' > /etc/sysctl.d/60-forward.conf",
				"systemctl daemon-reload",
				"reboot",
			}
		},
		undo: func(values) []string {
			return []string{"rm /etc/systemd/system/docker.service.d/lxd-first.conf /etc/sysctl.d/60-forward.conf", "systemctl daemon-reload", "reboot"}
		},
	}
}
