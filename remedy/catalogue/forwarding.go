package catalogue

import (
	"fmt"
	"strings"
)

// The remedies for what the runner does not forward.
const (
	DockerUserAccept      = "docker-user-accept"
	FirewallForwardAccept = "firewall-forward-accept"
	ForwardAccept         = "forward-accept"
	IPForwardOn           = "ip-forward-on"
	BridgeNetfilterOff    = "br-netfilter-off"
	AcceptBefore          = "accept-before"
	InterfaceForwardingOn = "interface-forwarding-on"
	RPFilterLoose         = "rp-filter-loose"
	RouteByMain           = "route-by-main"
	ConntrackMax          = "conntrack-max"
	ConntrackTimeout      = "conntrack-timeout"
	ARPOn                 = "arp-on"
	ARPAnswer             = "arp-answer"
	NeighbourAsk          = "neighbour-ask"
	BridgeAddress         = "bridge-address"
	RouteToBridge         = "route-to-bridge"
)

func forwarding() []Remedy {
	return []Remedy{dockerUserAccept(), firewallForwardAccept(), forwardAccept(), ipForwardOn(), bridgeNetfilterOff(),
		acceptBefore(), interfaceForwardingOn(), rpFilterLoose(), routeByMain(), conntrackMax(), conntrackTimeout(),
		arpOn(), arpAnswer(), neighbourAsk(), routeToBridge(), bridgeAddress()}
}

// DockerUserRules are the rules for DOCKER-USER, as Docker's documentation has
// them: they accept what comes from the bridge, and the answers to it.
func DockerUserRules(bridge string) [][]string {
	return [][]string{
		{"-i", bridge, "-j", "ACCEPT"},
		{"-o", bridge, "-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED", "-j", "ACCEPT"},
	}
}

// dockersTable is that of Docker 29's nftables backend, which has no DOCKER-USER.
const dockersTable = "docker-bridges"

// DockersOwn reports whether Docker writes the rules of a chain itself, and would
// put them back; those of DOCKER-USER are the user's.
func DockersOwn(table, chain string) bool {
	return table == dockersTable || strings.HasPrefix(chain, "DOCKER") && chain != "DOCKER-USER"
}

// iptables is the program of a family.
func (v values) iptables() string {
	if v["family"] == V6 {
		return "ip6tables"
	}
	return "iptables"
}

func dockerUserAccept() Remedy {
	rules := func(verb string) func(values) []string {
		return func(v values) []string {
			var out []string
			for _, rule := range DockerUserRules(v["bridge"]) {
				out = append(out, fmt.Sprintf("%s %s DOCKER-USER %s", v.iptables(), verb, strings.Join(rule, " ")))
			}
			return out
		}
	}
	return Remedy{
		Name: DockerUserAccept, Breadth: OneBridge,
		About:        "accepts one bridge's traffic in DOCKER-USER, before Docker's policy drops it",
		Opens:        "What comes from the bridge is forwarded, and the answers to it; Docker's policy stays for everything else.",
		Cost:         "Not persistent across reboots.",
		Precondition: "the chain DOCKER-USER is there: dockerd with the iptables backend makes it",
		Parameters:   []Parameter{bridgeParameter(), familyParameter()},
		commands:     rules("-I"), undo: rules("-D"),
	}
}

func firewallForwardAccept() Remedy {
	return Remedy{
		Name: FirewallForwardAccept, Breadth: OneBridge,
		About:        "takes out the one firewall rule that drops what comes from a bridge, and puts it back at its place",
		Opens:        "What this rule dropped is forwarded. An accept in another table could not undo a drop, so the rule itself goes.",
		Cost:         "Whatever else the rule kept out passes too. A firewall that reloads its rules brings it back.",
		Precondition: "exactly one rule that drops can match what comes from the bridge (in the table and chain that are given)",
		Parameters: []Parameter{
			bridgeParameter(),
			{Name: "table", About: "family and name of the rule's table", Example: "'inet filter'", check: table},
			{Name: "chain", About: "the rule's chain", Example: "forward", check: plainName},
			{Name: "handle", About: "the rule's handle, as `nft -a list ruleset` shows it", Example: "7", check: between(1, 1<<31-1)},
		},
		commands: func(v values) []string {
			table, chain, handle := strings.Trim(v["table"], "'"), v["chain"], v["handle"]
			if !tableName.MatchString(table) || chain == "" || handle == "" {
				return []string{
					"nft -a list ruleset  # find the rule that drops what comes from " + v.plain("bridge") + ", with its handle",
					"nft delete rule FAMILY TABLE CHAIN handle HANDLE",
				}
			}
			return []string{fmt.Sprintf("nft delete rule %s %s handle %s", table, v.plain("chain"), v.plain("handle"))}
		},
		undo: func(values) []string {
			return []string{"nft insert rule FAMILY TABLE CHAIN position HANDLE-OF-THE-NEXT-RULE RULE"}
		},
	}
}

func forwardAccept() Remedy {
	policy := func(p string) func(values) []string {
		return func(v values) []string { return []string{v.iptables() + " -P FORWARD " + p} }
	}
	return Remedy{
		Name: ForwardAccept, Breadth: Runner,
		About:        "sets the policy of the FORWARD chain to ACCEPT",
		Opens:        "The runner forwards between all of its interfaces whatever no rule drops.",
		Cost:         "Networks of Docker that were closed to the outside are open to their neighbours. dockerd may set it to DROP again when it starts.",
		Precondition: "the policy of an iptables FORWARD chain is DROP",
		Parameters:   []Parameter{familyParameter()},
		commands:     policy("ACCEPT"), undo: policy("DROP"),
	}
}

// ForwardingSetting is the sysctl that turns forwarding on.
func ForwardingSetting(family string) string {
	if family == V6 {
		return "net.ipv6.conf.all.forwarding"
	}
	return "net.ipv4.ip_forward"
}

func ipForwardOn() Remedy {
	set := func(to string) func(values) []string {
		return func(v values) []string { return []string{"sysctl -w " + ForwardingSetting(v["family"]) + "=" + to} }
	}
	return Remedy{
		Name: IPForwardOn, Breadth: Runner,
		About:        "turns forwarding on",
		Opens:        "The runner forwards between all of its interfaces whatever its firewall lets through.",
		Cost:         "Not persistent across reboots. A dockerd that starts later finds it on and does not set FORWARD to DROP. With v6 the runner stops taking routes from router advertisements.",
		Precondition: "forwarding is off",
		Parameters:   []Parameter{familyParameter()},
		commands:     set("1"), undo: set("0"),
	}
}

// BridgeNetfilterSettings are the sysctls that send bridged frames through iptables.
func BridgeNetfilterSettings() []string {
	return []string{"net.bridge.bridge-nf-call-iptables", "net.bridge.bridge-nf-call-ip6tables"}
}

func bridgeNetfilterOff() Remedy {
	set := func(to string) func(values) []string {
		return func(values) []string {
			var out []string
			for _, s := range BridgeNetfilterSettings() {
				out = append(out, "sysctl -w "+s+"="+to)
			}
			return out
		}
	}
	return Remedy{
		Name: BridgeNetfilterOff, Breadth: Runner,
		About:        "keeps frames that stay on a bridge away from iptables",
		Opens:        "Guests of one bridge reach each other whatever the FORWARD chain says.",
		Cost:         "Docker's isolation of containers on one network (icc=false) does nothing any more. Not persistent across reboots.",
		Precondition: "br_netfilter is there and on",
		commands:     set("0"), undo: set("1"),
	}
}
