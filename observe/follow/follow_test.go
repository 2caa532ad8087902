package follow_test

import (
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/observe/follow"
	"github.com/nestlab/nestlab/observe/observetest"
	"github.com/nestlab/nestlab/testbed/nettest"
)

// silence is how long nothing answers.
const silence = 300 * time.Millisecond

// killers are breakages of the router with what has to be seen of them when the guest
// opens a connection to the site.
var killers = []struct {
	name, nft string
	change    func(t *testing.T, n *observetest.Network)
	want      model.Sighting
}{
	{name: "policy without a counter", nft: `table inet filter { chain forward { type filter hook forward priority filter; policy drop; ct state established,related accept; }; }`,
		want: model.Sighting{Fate: model.Dropped, In: observetest.Bridge, Rule: &model.FirewallRule{Family: "inet", Table: "filter", Chain: "forward", Hook: "forward"}}},
	{name: "reject of firewalld", nft: `table inet firewalld { chain filter_FORWARD { type filter hook forward priority filter + 10; policy accept; ip protocol icmp accept; iifname "br0" reject with icmpx admin-prohibited; }; }`,
		want: model.Sighting{Fate: model.Rejected, In: observetest.Bridge, Rule: &model.FirewallRule{
			Family: "inet", Table: "firewalld", Chain: "filter_FORWARD", Hook: "forward", Priority: 10, Index: 1, Owner: "firewalld", Text: `iifname "br0" reject with icmpx admin-prohibited`}}},
	{name: "raw rule on answers", nft: `table ip raw { chain x { type filter hook prerouting priority raw; ip saddr 198.51.100.2 drop; }; }`,
		want: model.Sighting{Reply: true, Fate: model.Dropped, In: observetest.Uplink, Rule: &model.FirewallRule{Family: "ip", Table: "raw", Chain: "x", Hook: "prerouting", Priority: -300, Text: "ip saddr 198.51.100.2 drop"}}},
	{name: "answers behind NAT to a policy", nft: `table ip n { chain p { type nat hook postrouting priority srcnat; oifname "up0" masquerade; }; }
		table ip f { chain forward { type filter hook forward priority filter; policy drop; iifname "br0" accept; }; }`,
		want: model.Sighting{Reply: true, Fate: model.Dropped, In: observetest.Uplink, Rule: &model.FirewallRule{Family: "ip", Table: "f", Chain: "forward", Hook: "forward"}}},
	{name: "NAT to nowhere", nft: `table ip n { chain p { type nat hook prerouting priority dstnat; tcp dport 80 dnat to 192.0.2.1:81; }; }`,
		want: model.Sighting{Fate: model.Redirected, In: observetest.Bridge, Redirect: netip.MustParseAddrPort("192.0.2.1:81"),
			Rule: &model.FirewallRule{Family: "ip", Table: "n", Chain: "p", Hook: "prerouting", Priority: -100, Text: "tcp dport 80 dnat to 192.0.2.1:81", Ports: true}}},
	{name: "redirected, and dropped there", nft: `table ip n { chain p { type nat hook prerouting priority dstnat; tcp dport 80 redirect to :8080; }; }
		table inet f { chain deny { tcp dport 8080 drop; }; chain in { type filter hook input priority filter; jump deny; }; chain out { type filter hook output priority filter; jump deny; }; }`,
		want: model.Sighting{Fate: model.Dropped, In: observetest.Bridge, Rule: &model.FirewallRule{
			Family: "inet", Table: "f", Chain: "deny", Hook: "input", Text: "tcp dport 8080 drop", Ports: true, Shared: true}}},
	{name: "behind source NAT, on egress", nft: `table ip n { chain p { type nat hook postrouting priority srcnat; oifname "up0" masquerade; }; }
		table netdev t { chain c { type filter hook egress device "up0" priority 0; policy drop; }; }`,
		want: model.Sighting{Fate: model.Dropped, In: observetest.Bridge, Out: observetest.Uplink,
			Rule: &model.FirewallRule{Family: "netdev", Table: "t", Chain: "c", Hook: "egress"}}},
	{name: "in a zone that answers are not in", nft: `table ip n { chain p { type nat hook postrouting priority srcnat; oifname "up0" masquerade; }; }
		table ip sdn { chain pre { type filter hook prerouting priority raw; iifname "br0" ct zone set 7; }; }`,
		want: model.Sighting{Fate: model.Zoned, In: observetest.Bridge, Rule: &model.FirewallRule{
			Family: "ip", Table: "sdn", Chain: "pre", Hook: "prerouting", Priority: -300, Text: `iifname "br0" ct zone set 7`}}},
	{name: "let out of NAT", nft: `table ip n { chain p { type nat hook postrouting priority srcnat; ip saddr 10.91.3.0/24 accept; oifname "up0" masquerade; }; }
		table ip upstream { chain x { type filter hook prerouting priority raw; ip saddr 198.51.100.2 drop; }; }`,
		want: model.Sighting{Fate: model.Exempted, In: observetest.Bridge, Rule: &model.FirewallRule{
			Family: "ip", Table: "n", Chain: "p", Hook: "postrouting", Priority: 100, Text: "ip saddr 10.91.3.0/24 accept"}}},
	{name: "a queue without a reader", change: func(t *testing.T, _ *observetest.Network) {
		out, err := exec.CommandContext(t.Context(), "iptables-nft", "-A", "FORWARD", "-i", observetest.Bridge, "-j", "NFQUEUE", "--queue-num", "3").CombinedOutput()
		require.NoError(t, err, "%s", out)
	}, want: model.Sighting{Fate: model.Queued, In: observetest.Bridge, Queue: 3, Rule: &model.FirewallRule{
		Family: "ip", Table: "filter", Chain: "FORWARD", Hook: "forward", XTables: true, Text: "-A FORWARD -i br0 -j NFQUEUE --queue-num 3"}}},
	{name: "forwarding off on the uplink", change: func(t *testing.T, n *observetest.Network) {
		n.Router.Set(t, "net/ipv4/conf/"+observetest.Uplink+"/forwarding", "0")
	}, want: model.Sighting{Reply: true, Fate: model.Dropped, Kernel: &model.KernelDrop{Reason: "IP_INADDRERRORS", Function: "ip_error", Interface: observetest.Uplink}}},
}

func TestFollowNamesWhatEndsAGuestsConnection(t *testing.T) {
	t.Parallel()
	for _, k := range killers {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			if !nettest.Isolated(t) {
				return
			}
			n := observetest.New(t)
			if k.change != nil {
				k.change(t, n)
			}
			if k.nft != "" {
				cmd := exec.CommandContext(t.Context(), "nft", "-f", "-")
				cmd.Stdin = strings.NewReader(k.nft)
				out, err := cmd.CombinedOutput()
				require.NoError(t, err, "%s", out)
			}
			seen := watch(t, n)
			at := slices.IndexFunc(seen.Drops, func(s model.Sighting) bool { return s.Reply == k.want.Reply && (s.Rule == nil) == (k.want.Rule == nil) })
			require.GreaterOrEqual(t, at, 0, "%+v", seen)
			got := seen.Drops[at]
			require.True(t, got.To(observetest.Site, 80, "tcp"), "%+v", got)
			if !got.Reply && got.Rule != nil {
				require.Equal(t, observetest.Guest, got.Flows[0].Source.Addr())
			}
			require.Positive(t, got.Packets)
			got.Packets, got.Flows = 0, nil
			if got.Rule != nil {
				got.Rule.Handle = k.want.Rule.Handle
			}
			require.Equal(t, k.want, got)
			require.Empty(t, seen.Missing)
			require.Len(t, seen.Decisions, 2)
		})
	}
}

// watch follows what the guest tries.
func watch(t *testing.T, n *observetest.Network) model.Sightings {
	t.Helper()
	f := follow.Start(t.Context(), follow.Subject{
		Bridges: []string{observetest.Bridge}, Networks: []netip.Prefix{netip.MustParsePrefix("172.17.0.0/16"), netip.PrefixFrom(observetest.Gateway, 24).Masked()}, Destinations: []netip.Addr{observetest.Site},
	})
	require.Error(t, n.Guest.Dial(t, "tcp", observetest.Site, 80, silence))
	return f.Stop(t.Context(), []follow.Tried{{Source: observetest.Guest, Destination: observetest.Site, Port: 80, In: observetest.Bridge}})
}

// Packets are routed as their mark has it, and the rule that set it is told; a policy of IPsec
// without a state is told as well.
func TestFollowGoesByMarksAndPolicies(t *testing.T) {
	t.Parallel()
	if !nettest.Isolated(t) {
		return
	}
	n := observetest.New(t)
	for _, words := range []string{
		"ip route add local default dev lo table 100", "ip rule add priority 100 fwmark 1 lookup 100",
		"ip xfrm policy add src 10.91.3.0/24 dst 198.51.100.0/24 dir out tmpl src 198.51.100.1 dst 198.51.100.9 proto esp mode tunnel",
		// What is for the interface of a tunnel is for no other packet.
		"ip xfrm policy add src 0.0.0.0/0 dst 0.0.0.0/0 dir out tmpl src 198.51.100.1 dst 198.51.100.8 proto esp mode tunnel if_id 42",
		"ip xfrm policy add src 0.0.0.0/0 dst 0.0.0.0/0 dir out mark 7 tmpl src 198.51.100.1 dst 198.51.100.7 proto esp mode tunnel",
		"nft add table ip clash", "nft add chain ip clash pre { type filter hook prerouting priority mangle ; }", "nft add rule ip clash pre iifname br0 meta mark set 1",
		"nft add chain ip clash in { type filter hook input priority 0 ; }", // of what comes after, the trace tells the mark
	} {
		all := strings.Fields(words)
		out, err := exec.CommandContext(t.Context(), all[0], all[1:]...).CombinedOutput()
		require.NoError(t, err, "%s: %s", words, out)
	}
	seen := watch(t, n)
	there := seen.Decisions[0]
	require.Equal(t, "local", there.Kind, "%+v", seen)
	require.EqualValues(t, 1, there.Mark)
	require.Contains(t, there.Rule, "fwmark 0x1 lookup 100")
	require.Equal(t, "clash", there.MarkedBy.Table)
	require.Len(t, seen.IPsec, 1)
	require.Equal(t, netip.MustParseAddr("198.51.100.9"), seen.IPsec[0].Tunnel)
}

// Another machine with the host's address is told where the host's own packets are lost, and
// nobody is asked where they are not.
func TestFollowFindsWhoElseHasAnAddress(t *testing.T) {
	t.Parallel()
	if !nettest.Isolated(t) {
		return
	}
	n := observetest.New(t)
	own := func(failed bool) []model.AddressConflict {
		f := follow.Start(t.Context(), follow.Subject{Own: true})
		return f.Stop(t.Context(), []follow.Tried{{Source: observetest.Outside, Destination: observetest.Site, Port: 80, Failed: failed}}).Conflicts
	}
	require.Empty(t, own(true))
	n.Site.Do(t, func() {
		out, err := exec.CommandContext(t.Context(), "ip", strings.Fields("address add 198.51.100.1/32 dev eth0")...).CombinedOutput()
		require.NoError(t, err, string(out))
	})
	found := own(true)
	require.Len(t, found, 1)
	require.Equal(t, model.AddressConflict{Interface: observetest.Uplink, Address: observetest.Outside, MAC: n.Site.Link(t, observetest.NIC).Attrs().HardwareAddr.String()}, found[0])
	require.Empty(t, own(false))
}

// A bridge whose own MAC address is at a port is told with that port; others are not.
func TestFollowFindsDivertedFrames(t *testing.T) {
	t.Parallel()
	if !nettest.Isolated(t) {
		return
	}
	n := observetest.New(t)
	at := func() string {
		for _, i := range watch(t, n).Interfaces {
			if i.Interface == observetest.Bridge {
				return i.Diverted
			}
		}
		return "none"
	}
	require.Empty(t, at())
	mac := n.Router.Link(t, observetest.Bridge).Attrs().HardwareAddr.String()
	for _, words := range []string{"bridge fdb replace 02:00:00:00:00:05 dev port0 master static", "bridge fdb replace " + mac + " dev port0 master static"} {
		all := strings.Fields(words)
		out, err := exec.CommandContext(t.Context(), all[0], all[1:]...).CombinedOutput()
		require.NoError(t, err, "%s: %s", words, out)
	}
	require.Equal(t, observetest.Port, at())
}
