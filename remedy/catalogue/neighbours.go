package catalogue

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"strings"
)

// The remedies for how the runner finds its neighbours, and waits for their answers.

func conntrackTimeout() Remedy {
	return Remedy{
		Name: ConntrackTimeout, Breadth: Runner,
		About:        "has connection tracking wait longer for answers",
		Opens:        "Connections that are not answered yet stay in the table as long as seconds says.",
		Cost:         "The table of connections fills sooner under an attack. Not persistent, and gone when a program sets it again (/etc/sysctl.d).",
		Precondition: "the setting is shorter",
		Parameters: []Parameter{
			{Name: "setting", About: "the timeout", Required: true, Example: "nf_conntrack_tcp_timeout_syn_sent", check: timeoutName},
			{Name: "seconds", About: "how long", Required: true, Example: "120", check: between(1, 432000)},
		},
		commands: func(v values) []string {
			return []string{"sysctl -w net.netfilter." + v["setting"] + "=" + v["seconds"]}
		},
		undo: func(v values) []string { return []string{"sysctl -w net.netfilter." + v["setting"] + "=FORMER-VALUE"} },
	}
}

var timeoutNames = regexp.MustCompile(`^nf_conntrack_[a-z]{2,8}_timeout(_[a-z]{2,16})?(_[a-z]{2,16})?$`)

func timeoutName(s string) error {
	if !timeoutNames.MatchString(s) {
		return errors.New("give the name of a timeout below /proc/sys/net/netfilter, such as nf_conntrack_tcp_timeout_syn_sent")
	}
	return nil
}

func arpOn() Remedy {
	set := func(to string) func(values) []string {
		return func(v values) []string { return []string{"ip link set dev " + v["interface"] + " arp " + to} }
	}
	return Remedy{
		Name: ARPOn, Breadth: OneBridge,
		About:        "switches ARP on at one interface",
		Opens:        "The runner answers who asks there for its address, and asks for others.",
		Cost:         "Not persistent, and gone when what switched it off does so again.",
		Precondition: "the interface has the flag NOARP",
		Parameters:   []Parameter{interfaceParameter("the interface")},
		commands:     set("on"), undo: set("off"),
	}
}

func arpAnswer() Remedy {
	set := func(to string) func(values) []string {
		return func(v values) []string {
			return []string{"sysctl -w net/ipv4/conf/" + v["interface"] + "/arp_ignore=" + to}
		}
	}
	return Remedy{
		Name: ARPAnswer, Breadth: OneBridge,
		About:        "answers ARP requests at one interface, where arp_ignore has none answered",
		Opens:        "The runner answers who asks there for any address of its own.",
		Cost:         "Not persistent, and gone when what set it does so again (/etc/sysctl.d).",
		Precondition: "the interface's own arp_ignore is not 0, and that of all interfaces is less than 8",
		Parameters:   []Parameter{interfaceParameter("the interface")},
		commands:     set("0"), undo: set("FORMER-VALUE"),
	}
}

func neighbourAsk() Remedy {
	return Remedy{
		Name: NeighbourAsk, Breadth: OneBridge,
		About:        "takes a permanent entry out of the neighbour table, so that the kernel asks who has the address",
		Opens:        "Whoever answers for the address gets the packets, as without the entry.",
		Cost:         "What the entry kept from forgers, it keeps no more. Not persistent.",
		Precondition: "there is a permanent entry for the address",
		Parameters: []Parameter{
			interfaceParameter("the interface that the address is behind"),
			{Name: "address", About: "the neighbour's address", Required: true, Example: "198.51.100.10", check: oneAddress},
		},
		commands: func(v values) []string {
			return []string{fmt.Sprintf("ip neigh del %s dev %s", v["address"], v["interface"])}
		},
		undo: func(v values) []string {
			return []string{fmt.Sprintf("ip neigh replace %s dev %s lladdr FORMER-MAC nud permanent", v["address"], v["interface"])}
		},
	}
}

func oneAddress(s string) error {
	if a, err := netip.ParseAddr(s); err != nil || a.Zone() != "" {
		return errors.New("give an address such as 198.51.100.10")
	}
	return nil
}

func routeToBridge() Remedy {
	verb := func(verb string) func(values) []string {
		return func(v values) []string {
			var all []string
			for _, to := range strings.Split(v["address"], ",") {
				ip := "ip"
				if n, err := ParseNetwork(to); err == nil && n.Addr().Is6() {
					ip = "ip -6"
				}
				all = append(all, fmt.Sprintf("%s route %s %s dev %s", ip, verb, to, v["bridge"]))
			}
			return all
		}
	}
	return Remedy{
		Name: RouteToBridge, Breadth: OneBridge,
		About:        "routes addresses to the bridge, or other interface, that they are behind, before another route takes them elsewhere",
		Opens:        "Packets to these addresses go to that interface, whatever other routes say.",
		Cost:         "Who has the same addresses behind the other route is not reached any more. Not persistent: one of the two networks has to change.",
		Precondition: "the interface has no route of its network, or one as narrow or narrower takes packets elsewhere",
		Parameters: []Parameter{
			bridgeParameter(),
			{Name: "address", About: "the network or addresses; two halves of a network come before a route of the whole", Required: true, Example: "10.77.0.0/25,10.77.0.128/25", check: addresses},
		},
		commands: verb("add"), undo: verb("del"),
	}
}

func bridgeAddress() Remedy {
	verb := func(verb string) func(values) []string {
		return func(v values) []string {
			return []string{fmt.Sprintf("ip address %s %s dev %s", verb, v["address"], v["bridge"])}
		}
	}
	return Remedy{
		Name: BridgeAddress, Breadth: OneBridge,
		About:        "gives a bridge the IPv4 address that its guests have for their gateway",
		Opens:        "The runner is the router of the bridge's guests, as its program meant it to be.",
		Cost:         "Not persistent. If the program that runs the bridge is restarted, it does the same for good.",
		Precondition: "the bridge does not have that address",
		Parameters: []Parameter{
			bridgeParameter(),
			{Name: "address", About: "the address, with the prefix length of its network", Required: true, Example: "172.17.0.1/16", check: prefix},
		},
		commands: verb("add"), undo: verb("del"),
	}
}
