package trace_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/observe"
	"github.com/nestlab/nestlab/observe/observetest"
	"github.com/nestlab/nestlab/observe/ruleset"
	"github.com/nestlab/nestlab/observe/trace"
)

// followed is what a trace says of connections that a guest, or the router, tried.
func followed(t *testing.T, flow observe.Flow, try func()) *trace.Result {
	t.Helper()
	tracer, err := trace.Start(t.Context(), []observe.Flow{flow}, trace.Options{})
	require.NoError(t, err)
	try()
	r, err := tracer.Result(t.Context())
	require.NoError(t, err)
	// The last packet of a connection may be on its way yet.
	for until := time.Now().Add(300 * time.Millisecond); slices.ContainsFunc(r.Fates, underWay) && time.Now().Before(until); {
		r, err = tracer.Result(t.Context())
		require.NoError(t, err)
	}
	require.NoError(t, tracer.Close())
	require.Zero(t, r.Lost)
	require.NotEmpty(t, r.Paths)
	require.NotContains(t, run(t, "", "nft", "list", "tables"), "nestlab_trace", "something is left")
	return r
}

func underWay(f trace.Fate) bool { return f.Outcome == trace.Unfinished }

// fate returns the only fate of a direction.
func fate(t *testing.T, r *trace.Result, reply bool) trace.Fate {
	t.Helper()
	var found []trace.Fate
	for _, f := range r.Fates {
		if f.Reply == reply && !f.ARP {
			found = append(found, f)
		}
	}
	if len(found) > 1 { // the answer to a connection of the case before may come again
		found = slices.DeleteFunc(found, func(f trace.Fate) bool { return f.By == nil })
	}
	require.Len(t, found, 1, "%+v", r.Fates)
	return found[0]
}

// killer is a rule or policy that ends a guest's connections, and what a trace must
// say of it.
type killer struct {
	name string
	// nft or iptables makes it.
	nft      string
	iptables [][]string
	outcome  trace.Outcome
	hook     ruleset.Hook
	chain    string // family, table and chain
	policy   bool
	text     string
	six      bool
	reply    bool // it ends the answers
}

var killers = []killer{
	{name: "nft policy without counter", nft: "table inet fw { chain forw { type filter hook forward priority 0; policy drop; }; }",
		outcome: trace.Dropped, hook: ruleset.Forward, chain: "inet fw forw", policy: true},
	{name: "nft rule without counter", nft: "table inet fw { chain forw { type filter hook forward priority 0; iifname \"br0\" tcp dport 80 drop; }; }",
		outcome: trace.Dropped, hook: ruleset.Forward, chain: "inet fw forw", text: `iifname "br0" tcp dport 80 drop`},
	{name: "rule of a chain that is jumped to by a map", nft: `table ip fw { chain sub { tcp dport { 80, 443 } drop; }
		chain forw { type filter hook forward priority 10; ct state vmap { new : jump sub, established : accept }; }; }`,
		outcome: trace.Dropped, hook: ruleset.Forward, chain: "ip fw sub", text: "tcp dport { 80, 443 } drop"},
	{name: "reject with icmpx", nft: "table inet firewalld { chain forw { type filter hook forward priority 10; reject with icmpx admin-prohibited; }; }",
		outcome: trace.Rejected, hook: ruleset.Forward, chain: "inet firewalld forw", text: "reject with icmpx admin-prohibited"},
	{name: "mangle priority forward", nft: "table ip m { chain forw { type filter hook forward priority mangle; oifname u0 drop; }; }",
		outcome: trace.Dropped, hook: ruleset.Forward, chain: "ip m forw", text: `oifname "u0" drop`},
	{name: "below every priority", nft: "table ip m { chain pre { type filter hook prerouting priority -2000000000; tcp dport 80 drop; }; }",
		outcome: trace.Dropped, hook: ruleset.Prerouting, chain: "ip m pre", text: "tcp dport 80 drop"},
	{name: "postrouting", nft: "table ip m { chain post { type filter hook postrouting priority 0; ip daddr 198.51.100.0/24 drop; }; }",
		outcome: trace.Dropped, hook: ruleset.Postrouting, chain: "ip m post", text: "ip daddr 198.51.100.0/24 drop"},
	{name: "ingress of a device", nft: "table netdev d {\nchain in { type filter hook ingress device g0 priority 0; tcp dport 80 drop\n}\n}",
		outcome: trace.Dropped, hook: ruleset.Ingress, chain: "netdev d in", text: "tcp dport 80 drop"},
	{name: "egress of a device", nft: "table netdev d {\nchain out { type filter hook egress device u0 priority 0; tcp dport 80 drop\n}\n}",
		outcome: trace.Dropped, hook: ruleset.Egress, chain: "netdev d out", text: "tcp dport 80 drop"},
	{name: "bridge", nft: "table bridge b {\nchain in { type filter hook input priority 0; ip protocol tcp drop\n}\n}",
		outcome: trace.Dropped, hook: ruleset.Input, chain: "bridge b in", text: "ip protocol tcp drop"},
	{name: "the answer", nft: "table ip m { chain forw { type filter hook forward priority 0; tcp sport 80 drop; }; }",
		outcome: trace.Dropped, hook: ruleset.Forward, chain: "ip m forw", text: "tcp sport 80 drop", reply: true},
	{name: "the answer, below every priority", nft: "table ip m { chain pre { type filter hook prerouting priority -2000000000; tcp sport 80 drop; }; }",
		outcome: trace.Dropped, hook: ruleset.Prerouting, chain: "ip m pre", text: "tcp sport 80 drop", reply: true},
	{name: "ip6 policy", nft: "table ip6 f { chain forw { type filter hook forward priority 0; policy drop; }; }", six: true,
		outcome: trace.Dropped, hook: ruleset.Forward, chain: "ip6 f forw", policy: true},
	{name: "iptables policy", iptables: [][]string{{"iptables-nft", "-P", "FORWARD", "DROP"}},
		outcome: trace.Dropped, hook: ruleset.Forward, chain: "ip filter FORWARD", policy: true},
	{name: "iptables rule", iptables: [][]string{{"iptables-nft", "-N", "F"}, {"iptables-nft", "-A", "FORWARD", "-j", "F"}, {"iptables-nft", "-A", "F", "-p", "tcp", "-m", "comment", "--comment", "why not", "-j", "DROP"}},
		outcome: trace.Dropped, hook: ruleset.Forward, chain: "ip filter F", text: `-A F -p tcp -m comment --comment "why not" -j DROP`},
	{name: "iptables reject", iptables: [][]string{{"iptables-nft", "-A", "FORWARD", "-i", "br0", "-j", "REJECT"}},
		outcome: trace.Rejected, hook: ruleset.Forward, chain: "ip filter FORWARD", text: "-A FORWARD -i br0 -j REJECT --reject-with icmp-port-unreachable"},
	{name: "iptables mangle", iptables: [][]string{{"iptables-nft", "-t", "mangle", "-A", "FORWARD", "-d", "198.51.100.2", "-j", "DROP"}},
		outcome: trace.Dropped, hook: ruleset.Forward, chain: "ip mangle FORWARD", text: "-A FORWARD -d 198.51.100.2/32 -j DROP"},
	{name: "iptables raw", iptables: [][]string{{"iptables-nft", "-t", "raw", "-A", "PREROUTING", "-i", "br0", "-p", "tcp", "-j", "DROP"}},
		outcome: trace.Dropped, hook: ruleset.Prerouting, chain: "ip raw PREROUTING", text: "-A PREROUTING -i br0 -p tcp -j DROP"},
	{name: "ip6tables reject", six: true, iptables: [][]string{{"ip6tables-nft", "-A", "FORWARD", "-j", "REJECT"}},
		outcome: trace.Rejected, hook: ruleset.Forward, chain: "ip6 filter FORWARD", text: "-A FORWARD -j REJECT --reject-with icmp6-port-unreachable"},
}

func TestTraceNamesWhatEndsAGuestsConnection(t *testing.T) {
	for _, netfilter := range []bool{false, true} {
		t.Run(map[bool]string{false: "bridge", true: "bridge with br_netfilter"}[netfilter], func(t *testing.T) {
			if !isolated(t) {
				return
			}
			l := newLab(t, netfilter)
			for _, k := range killers {
				t.Run(k.name, func(t *testing.T) { k.check(t, l) })
				run(t, "flush ruleset", "nft", "-f", "-")
			}
		})
	}
}

func (k killer) check(t *testing.T, l *lab) {
	if k.nft != "" {
		nft(t, k.nft)
	}
	for _, words := range k.iptables {
		run(t, "", words[0], words[1:]...)
	}
	from, to := guestIP, upstreamIP
	if k.six {
		from, to = guestIP6, upstreamIP6
	}
	r := followed(t, tcp(from, to, 80), func() {
		require.Error(t, l.guest.dial(t, to, 80, 200*time.Millisecond))
	})
	f := fate(t, r, k.reply)
	require.Equal(t, k.outcome, f.Outcome, "%+v", f)
	require.NotNil(t, f.By)
	require.Equal(t, k.chain, f.By.ChainID.String())
	require.Equal(t, k.hook, f.By.Hook)
	require.Equal(t, observetest.Plain(k.text), observetest.Plain(f.By.RuleText))
	require.Equal(t, k.policy, f.By.Type == trace.OfPolicy && f.By.Handle == 0)
	require.Empty(t, r.Missing)
}
