package remedy_test

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/remedy"
	"github.com/nestlab/nestlab/remedy/catalogue"
)

// forwardChain is a chain on the forward hook, for rules that a test gives it.
const forwardChain = `nft add table inet fw
nft add chain inet fw forward { type filter hook forward priority 0; }
`

// printedHere are the commands and the way back for a bridge's rule in the table fw.
func printedHere(t *testing.T, name string, handle ...string) (commands, undo []string, err error) {
	t.Helper()
	h := remedy.Host{Journal: filepath.Join(t.TempDir(), "journal")}
	parameters := map[string]string{"bridge": bridge}
	if name == catalogue.FirewallForwardAccept {
		parameters["table"], parameters["chain"] = "inet fw", "forward"
	}
	if len(handle) > 0 {
		parameters["handle"] = handle[0]
	}
	return h.Commands(t.Context(), model.Remedy{Name: name, Parameters: parameters})
}

func handleOf(t *testing.T, text string) string {
	t.Helper()
	for line := range strings.Lines(run(t, "nft", "-a", "list", "ruleset")) {
		if before, handle, found := strings.Cut(strings.TrimSpace(line), " # handle "); found && before == text {
			return handle
		}
	}
	require.Fail(t, "there is no such rule", text)
	return ""
}

func TestCommandsNameTheRulesOfThisHost(t *testing.T) {
	machine(t)
	lines(t, firewall+firewallInput)
	commands, undo, err := printedHere(t, "firewall-forward-accept")
	require.NoError(t, err)
	const rejects = `iifname "nlbr0" counter packets 7 bytes 420 reject comment "no-guests"`
	require.Equal(t, []string{"nft delete rule inet fw forward handle " + handleOf(t, rejects)}, commands)
	before := handleOf(t, `iifname "other0" counter packets 0 bytes 0 drop`)
	require.NotEqual(t, before, handleOf(t, rejects))
	require.Len(t, undo, 1)
	require.Regexp(t, `^nft 'add rule inet fw forward handle [0-9]+ iifname "nlbr0" counter packets 7 bytes 420 reject comment "no-guests"'$`, undo[0])

	commands, undo, err = printedHere(t, "dhcp-accept")
	require.NoError(t, err)
	require.Equal(t, []string{`nft 'insert rule inet fw input iifname "nlbr0" udp dport 67 accept comment "nestlab dhcp-accept nlbr0"'`}, commands)
	require.Equal(t, []string{`nft delete rule inet fw input handle "$(nft -a list chain inet fw input | awk '/comment "nestlab dhcp-accept nlbr0"/ { print $NF }')"`}, undo)

	lines(t, "iptables-nft -A INPUT -p udp --dport 67 -j DROP")
	commands, undo, err = printedHere(t, "dhcp-accept")
	require.NoError(t, err)
	require.Len(t, commands, 2, "each chain that drops")
	require.Contains(t, commands, "iptables-nft -I INPUT -m comment --comment nestlab -i nlbr0 -p udp --dport 67 -j ACCEPT")
	require.Contains(t, undo, "iptables-nft -D INPUT -m comment --comment nestlab -i nlbr0 -p udp --dport 67 -j ACCEPT")
}

// What only this host can say is filled in: the value before, and where a server listens.
func TestCommandsNameTheValuesOfThisHost(t *testing.T) {
	for _, test := range []struct {
		name           string
		parameters     map[string]string
		commands, undo []string
	}{
		{
			"bridge-subnet", of("bridge="+bridge, "address=10.99.0.1/24", "socket="+lxdSocket),
			[]string{"lxc network set nlbr0 ipv4.address 10.99.0.1/24"}, []string{"lxc network set nlbr0 ipv4.address 10.77.0.1/24"},
		},
		{
			"mtu-match", of("interface="+bridge, "mtu=1400", "how=link"),
			[]string{"ip link set dev nlbr0 mtu 1400"}, []string{"ip link set dev nlbr0 mtu 1500"},
		},
		{
			"proxy-on-bridge", of("bridge=" + bridge),
			[]string{"nestlab remedy serve proxy 10.77.0.1:3128 &"}, []string{`pkill -xf '(.*/)?nestlab remedy serve proxy 10\.77\.0\.1:3128'`},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			h, _ := testCase{name: test.name, parameters: test.parameters}.prepare(t)
			commands, undo, err := h.Commands(t.Context(), model.Remedy{Name: test.name, Parameters: test.parameters})
			require.NoError(t, err)
			require.Equal(t, test.commands, commands)
			require.Equal(t, test.undo, undo)
		})
	}
}

// Where plain iptables leads to the other rule set, the commands name the variant.
func TestCommandsNameTheVariantOfIptables(t *testing.T) {
	machine(t)
	printed := func(name string) (string, string) {
		h := remedy.Host{Journal: filepath.Join(t.TempDir(), "journal")}
		parameters := map[string]string{}
		if name == catalogue.DockerUserAccept {
			parameters["bridge"] = bridge
		}
		commands, undo, err := h.Commands(t.Context(), model.Remedy{Name: name, Parameters: parameters})
		require.NoError(t, err)
		return strings.Join(commands, "\n"), strings.Join(undo, "\n")
	}
	leads := func(kind string) {
		dir := t.TempDir()
		real, err := exec.LookPath("iptables-" + kind)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, "iptables"), []byte("#!/bin/sh\nexec "+real+" \"$@\"\n"), 0o755))
		t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	}
	leads(catalogue.NFT)
	commands, undo := printed(catalogue.DockerUserAccept)
	require.Equal(t, "iptables -I DOCKER-USER -i nlbr0 -j ACCEPT\niptables -I DOCKER-USER -o nlbr0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT", commands)
	require.Contains(t, undo, "iptables -D DOCKER-USER -i nlbr0 -j ACCEPT")
	commands, _ = printed(catalogue.ForwardAccept)
	require.Equal(t, "iptables -P FORWARD ACCEPT", commands)

	leads(catalogue.Legacy)
	commands, undo = printed(catalogue.DockerUserAccept)
	require.Equal(t, "iptables-nft -I DOCKER-USER -i nlbr0 -j ACCEPT\niptables-nft -I DOCKER-USER -o nlbr0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT", commands)
	require.Contains(t, undo, "iptables-nft -D DOCKER-USER -i nlbr0 -j ACCEPT")
	lines(t, "iptables-legacy -N DOCKER-USER")
	t.Cleanup(func() { run(t, "iptables-legacy", "-X", "DOCKER-USER") })
	commands, undo = printed(catalogue.DockerUserAccept)
	for _, program := range []string{"iptables", "iptables-nft"} {
		require.Contains(t, commands, program+" -I DOCKER-USER -i nlbr0 -j ACCEPT\n", "which of them dockerd uses cannot be seen")
		require.Contains(t, undo, program+" -D DOCKER-USER -i nlbr0 -j ACCEPT\n")
	}
	lines(t, "iptables-legacy -P FORWARD DROP")
	commands, undo = printed(catalogue.ForwardAccept)
	require.Equal(t, "iptables -P FORWARD ACCEPT\niptables-nft -P FORWARD ACCEPT", commands, "both drop")
	require.Equal(t, "iptables -P FORWARD DROP\niptables-nft -P FORWARD DROP", undo)
}

// Rules that nestlab would not or could hardly put back, but nft does.
func TestCommandsBringBackWhatNFTWrites(t *testing.T) {
	for name, rule := range map[string]string{
		"a set of its own": `ip saddr { 10.77.0.0/24, 10.78.0.0/24 } counter packets 3 bytes 180 drop`,
		"a shell's signs":  `iifname "nlbr0" drop comment "it's $(reboot) & \` + "`id`" + `"`,
		"a log":            `iifname "nlbr0" limit rate 5/minute log prefix "gone: " level info drop`,
	} {
		for place, rules := range map[string][]string{
			"first": {rule, "iifname other0 accept"}, "last": {"iifname other0 accept", rule}, "alone": {rule},
		} {
			t.Run(name+" "+place, func(t *testing.T) {
				machine(t)
				lines(t, forwardChain)
				for _, r := range rules {
					run(t, "nft", "add rule inet fw forward "+r)
				}
				before := ruleset(t)
				if strings.Contains(rule, "{") {
					h := remedy.Host{Journal: filepath.Join(t.TempDir(), "journal")}
					require.ErrorContains(t, h.Check(t.Context(), model.Remedy{Name: catalogue.FirewallForwardAccept, Parameters: map[string]string{"bridge": bridge, "table": "inet fw"}}),
						"has a set of its own, which goes with it and could not be put back")
				}
				commands, undo, err := printedHere(t, "firewall-forward-accept")
				require.NoError(t, err)
				shell(t, commands)
				require.NotContains(t, run(t, "nft", "list", "chain", "inet", "fw", "forward"), " drop")
				shell(t, undo)
				require.Equal(t, before, ruleset(t))
			})
		}
	}
}

func TestCommandsLeaveOpenWhatCannotBeRead(t *testing.T) {
	machine(t)
	const general = "nft delete rule FAMILY TABLE CHAIN handle HANDLE"
	commands, undo, err := printedHere(t, "firewall-forward-accept")
	require.ErrorContains(t, err, "no rule that drops can match")
	require.Contains(t, commands, general)
	require.Equal(t, []string{"nft insert rule FAMILY TABLE CHAIN position HANDLE-OF-THE-NEXT-RULE RULE"}, undo)

	lines(t, forwardChain)
	run(t, "nft", `add rule inet fw forward iifname "nlbr0" drop comment "a; flush ruleset"`)
	named := []string{"nft -a list chain inet fw forward  # note the rule with the handle 2, for the way back", "nft delete rule inet fw forward handle 2"}
	commands, undo, err = printedHere(t, "firewall-forward-accept")
	require.ErrorContains(t, err, "more than one command")
	require.Equal(t, named, commands)
	require.Equal(t, []string{"nft insert rule inet fw forward RULE"}, undo)

	t.Setenv("PATH", t.TempDir())
	commands, _, err = printedHere(t, "firewall-forward-accept", "2")
	require.ErrorContains(t, err, "executable file not found")
	require.Equal(t, named, commands)
}

// The kernel takes any name for a chain; a shell and nft must not read it.
func TestCommandsLeaveOutHostileNames(t *testing.T) {
	machine(t)
	conn, err := nftables.New()
	require.NoError(t, err)
	table := conn.AddTable(&nftables.Table{Name: "fw", Family: nftables.TableFamilyINet})
	drop := nftables.ChainPolicyDrop
	for hook, chain := range map[string]nftables.Chain{
		"forward": {Name: "$(reboot)", Hooknum: nftables.ChainHookForward},
		"input":   {Name: "x; flush ruleset", Hooknum: nftables.ChainHookInput, Policy: &drop},
	} {
		chain.Table, chain.Type, chain.Priority = table, nftables.ChainTypeFilter, nftables.ChainPriorityFilter
		added := conn.AddChain(&chain)
		if hook == "forward" {
			conn.AddRule(&nftables.Rule{Table: table, Chain: added, Exprs: []expr.Any{&expr.Verdict{Kind: expr.VerdictDrop}}})
		}
	}
	require.NoError(t, conn.Flush())
	h := remedy.Host{Journal: filepath.Join(t.TempDir(), "journal")}
	for _, name := range []string{"firewall-forward-accept", "dhcp-accept"} {
		commands, undo, err := h.Commands(t.Context(), model.Remedy{Name: name, Parameters: map[string]string{"bridge": bridge}})
		require.ErrorContains(t, err, "nft has no name for the chain")
		text := strings.Join(append(commands, undo...), "\n")
		require.NotContains(t, text, "reboot")
		require.NotContains(t, text, "flush")
		require.Contains(t, text, "FAMILY TABLE CHAIN")
	}
}

// What does not answer does not hold a run up: the general commands are there, and why.
func TestCommandsOfADeafLXD(t *testing.T) {
	t.Cleanup(remedy.SetLookWithin(100 * time.Millisecond))
	socket := filepath.Join(t.TempDir(), "lxd.socket")
	l, err := net.Listen("unix", socket)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.Close()) })
	h := remedy.Host{Journal: filepath.Join(t.TempDir(), "journal")}
	commands, undo, err := h.Commands(t.Context(), model.Remedy{Name: "bridge-subnet", Parameters: of("bridge="+bridge, "address=10.99.0.1/24", "socket="+socket)})
	require.ErrorContains(t, err, "it took more than 100ms")
	require.Equal(t, []string{"lxc network set nlbr0 ipv4.address 10.99.0.1/24"}, commands)
	require.Equal(t, []string{"lxc network set nlbr0 ipv4.address OLD"}, undo)
}
