package real

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/diagnose"
	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/testbed/nettest"
)

// beside are breakages that no rule drops a packet by, with the commands that make them
// and take them back, and what has to be said of them.
var beside = []struct {
	name, nft     string
	breaks, cures []string
	cause, says   string
	proven        bool
}{
	{name: "notrack", nft: `table ip tuning { chain pre { type filter hook prerouting priority raw; ip saddr 10.91.3.0/24 ip daddr != 10.91.3.0/24 notrack; }; }`,
		cause: diagnose.CauseAltered, says: "left without NAT, by the rule \"ip saddr 10.91.3.0/24 ip daddr != 10.91.3.0/24 notrack\" of chain pre", proven: true},
	{name: "stale source NAT", nft: `table ip stale { chain post { type nat hook postrouting priority srcnat - 10; ip saddr 10.91.3.0/24 oifname up0 snat to 198.51.100.250; }; }`,
		cause: diagnose.CauseAltered, says: "translated to the source 198.51.100.250, which the runner does not have, by the rule", proven: true},
	{name: "redirect to a port that nobody listens on", nft: `table ip squid { chain pre { type nat hook prerouting priority dstnat; iifname br0 tcp dport 80 redirect to :3129; }; }`,
		cause: diagnose.CauseRedirected, says: "no process of the runner listens there, on tcp port 3129", proven: true},
	{name: "TTL", nft: `table ip tether { chain pre { type filter hook prerouting priority mangle; iifname br0 ip ttl set 1; }; }`,
		cause: diagnose.CauseAltered, says: "left with too small a TTL to get any further by the rule \"iifname \\\"br0\\\" ip ttl set 1\"", proven: true},
	{name: "IPsec policy", breaks: []string{"ip xfrm policy add src 10.91.3.0/24 dst 0.0.0.0/0 dir fwd action block"}, cures: []string{"ip xfrm policy delete src 10.91.3.0/24 dst 0.0.0.0/0 dir fwd"},
		cause: diagnose.CauseIPsecPolicy, says: "the IPsec policy src 10.91.3.0/24 dst 0.0.0.0/0 dir fwd blocks them"},
	{name: "redirect by tc", breaks: []string{
		"ip link add ids0 type veth peer name ids1", "ip link set ids0 up", "tc qdisc add dev br0 ingress",
		"tc filter add dev br0 parent ffff: protocol ip prio 10 u32 match ip protocol 6 0xff action mirred egress redirect dev ids0"},
		cures: []string{"tc qdisc del dev br0 ingress", "ip link del ids0"},
		cause: diagnose.CauseTrafficControl, says: "handed to ids0 at the ingress of br0 by a filter of traffic control (u32, priority 10"},
	{name: "permanent neighbour", breaks: []string{"ip neigh replace 198.51.100.2 dev up0 lladdr 02:00:00:00:00:66 nud permanent"}, cures: []string{"ip neigh del 198.51.100.2 dev up0"},
		cause: diagnose.CauseStaticNeighbour, says: "a permanent entry gives 198.51.100.2 on up0 the MAC address 02:00:00:00:00:66", proven: true},
	{name: "no ARP", breaks: []string{"ip link set br0 arp off"}, cures: []string{"ip link set br0 arp on"},
		cause: diagnose.CauseARPOff, says: "ARP is switched off on br0", proven: true},
	{name: "timeout of connection tracking", breaks: []string{"sysctl -qw net.netfilter.nf_conntrack_tcp_timeout_syn_sent=0"}, cures: []string{"sysctl -qw net.netfilter.nf_conntrack_tcp_timeout_syn_sent=120"},
		cause: diagnose.CauseConntrackTimeout, says: "net.netfilter.nf_conntrack_tcp_timeout_syn_sent is 0", proven: true},
	{name: "narrower route", breaks: []string{"ip link add vpn0 type veth peer name vpn1", "ip link set vpn0 up", "ip route add 10.91.3.0/25 dev vpn0"}, cures: []string{"ip link del vpn0"},
		cause: diagnose.CauseMisrouted, says: "to 10.91.3.5 out by vpn0", proven: true},
	{name: "prohibited port", breaks: []string{"ip rule add priority 900 iif br0 ipproto tcp dport 80 prohibit"}, cures: []string{"ip rule del priority 900 iif br0 ipproto tcp dport 80 prohibit"},
		cause: diagnose.CauseMisrouted, says: "nowhere (prohibit) by the policy rule", proven: true},
}

// What decides about packets beside what drops them is named, and proven where a change
// to it alone can be made.
func TestWhatDecidesBesideTheFirewall(t *testing.T) {
	t.Parallel()
	if !nettest.Isolated(t) {
		return
	}
	l := newLab(t)
	l.strangers = true
	// Out there nobody has a way back to what is not translated.
	l.Site.Do(t, func() {
		nft(t, "table ip world { chain in { type filter hook input priority 0; ip saddr 10.91.3.0/24 drop; }; }")
	})
	for _, b := range beside {
		nft(t, "table ip nat { chain post { type nat hook postrouting priority srcnat; ip saddr 10.91.3.0/24 oifname up0 masquerade; }; }")
		nft(t, b.nft)
		for _, line := range b.breaks {
			words := strings.Fields(line)
			command(t, "", words[0], words[1:]...)
		}
		run, progress := l.run(t)
		require.Equal(t, b.cause, run.Diagnosis.Cause, "%s: %s\n%s", b.name, progress, told(run))
		require.Equal(t, b.proven, run.Diagnosis.Confidence == model.Proven, "%s: %s\n%s", b.name, progress, told(run))
		require.Condition(t, func() bool {
			for _, e := range run.Diagnosis.Evidence {
				if strings.Contains(e.Text, b.says) {
					return true
				}
			}
			return false
		}, "%s: %q\n%+v", b.name, b.says, run.Diagnosis.Evidence)
		for _, line := range b.cures {
			words := strings.Fields(line)
			command(t, "", words[0], words[1:]...)
		}
		l.clear(t)
	}
}
