package follow

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/observe/legacy"
)

// What netfilter dropped beside nf_tables is a rule's of iptables-legacy that counted it, and
// that may have taken it.
func TestByLegacy(t *testing.T) {
	t.Parallel()
	at := netip.MustParseAddrPort
	own := func(a netip.Addr) bool { return a == netip.MustParseAddr("172.17.0.1") }
	page := model.PacketFlow{Protocol: "tcp", Source: at("172.17.0.2:0"), Destination: at("198.51.100.2:80")}
	name := model.PacketFlow{Protocol: "udp", Source: at("172.17.0.2:0"), Destination: at("172.17.0.1:53")}
	dropped := func(reason, function string, flows ...model.PacketFlow) []model.Sighting {
		return []model.Sighting{{Fate: model.Dropped, Packets: 6, Flows: flows, Kernel: &model.KernelDrop{Reason: reason, Function: function, Interface: "docker0"}}}
	}
	rule := func(table, chain, hook, text string, packets uint64) legacy.Rule {
		return legacy.Rule{Family: "ip", Table: table, Chain: chain, Number: 3, Text: text, Packets: packets, Hooks: []string{hook}}
	}
	shut := rule("filter", "ufw-user-forward", "forward", "-A ufw-user-forward -p tcp -m tcp --dport 80 -j REJECT", 5)
	shut.Rejects, shut.Hooks = true, []string{"input", "forward"}
	raw := rule("raw", "PREROUTING", "prerouting", "-A PREROUTING -i docker0 -j DROP", 9)

	found := byLegacy(dropped("NETFILTER_DROP", "nf_hook_slow", page, name), []legacy.Rule{shut}, own)
	require.Equal(t, []model.Sighting{
		{Fate: model.Rejected, Packets: 5, In: "docker0", Flows: []model.PacketFlow{page}, Rule: &model.FirewallRule{
			Family: "ip", Table: "filter", Chain: "ufw-user-forward", Hook: "forward", Handle: 3, Index: 2, Text: shut.Text, Ports: true, Shared: true, XTables: true, Legacy: true, Owner: "ufw"}},
		{Fate: model.Dropped, Packets: 1, Flows: []model.PacketFlow{name}, Kernel: &model.KernelDrop{Reason: "NETFILTER_DROP", Function: "nf_hook_slow", Interface: "docker0"}},
	}, found, "the name is not the rule's")

	found = byLegacy(dropped("", "nf_hook_slow", page), []legacy.Rule{shut, raw}, own)
	require.Len(t, found, 1)
	require.Equal(t, "raw", found[0].Rule.Table, "it comes first")
	require.EqualValues(t, 6, found[0].Packets, "the others are of packets that nobody followed")

	input := rule("filter", "INPUT", "input", "", 9)
	input.Number = 0
	found = byLegacy(dropped("NETFILTER_DROP", "nf_hook_slow", name), []legacy.Rule{input}, own)
	require.Equal(t, "input", found[0].Rule.Hook)
	require.Zero(t, found[0].Rule.Handle, "a policy")

	forward := rule("filter", "FORWARD", "forward", "", 9)
	forward.Number = 0
	for _, kept := range [][]model.Sighting{
		byLegacy(dropped("NETFILTER_DROP", "nf_hook_slow", page), nil, own),
		byLegacy(dropped("NETFILTER_DROP", "nf_hook_slow", page), []legacy.Rule{forward}, own),
		byLegacy(dropped("IP_RPFILTER", "ip_rcv", page), []legacy.Rule{raw}, own),
		byLegacy(dropped("", "ip_rcv", page), []legacy.Rule{raw}, own),
	} {
		require.Len(t, kept, 1)
		require.Nil(t, kept[0].Rule)
	}
}
