package real

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/diagnose"
	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/observe/observetest"
	"github.com/nestlab/nestlab/testbed/nettest"
)

// What accept-before accepts is no more than what the rule dropped: the ports that it is
// about, on the hook that it dropped on; and what NAT had led elsewhere is known by where
// it was to.
func TestTheCureIsNarrow(t *testing.T) {
	t.Parallel()
	if !nettest.Isolated(t) {
		return
	}
	l := newLab(t)
	command(t, "", "ip", "route", "add", "default", "via", observetest.Site.String()) // tells the uplink
	for name, test := range map[string]struct {
		rules, cause string
		parameters   map[string]string
	}{
		"a rule about a port": {
			`table inet f { chain fw { type filter hook forward priority 0; iifname "br0" tcp dport 80 drop; iifname "br0" ip daddr 10.0.0.0/8 drop; }; }`,
			diagnose.CauseFirewallForwardDrop, map[string]string{"in": "br0", "ports": "tcp/80", "chain": "fw"},
		},
		"a chain of several hooks": {
			`table inet f { chain deny { iifname "br0" meta l4proto { tcp, icmp } drop; }
			chain in { type filter hook input priority 0; jump deny; }; chain fw { type filter hook forward priority 0; iifname "br0" jump deny; }; }`,
			diagnose.CauseFirewallForwardDrop, map[string]string{"in": "br0", "out": "up0", "answers": "yes", "chain": "deny"},
		},
		"behind a redirect": {
			`table ip n { chain p { type nat hook prerouting priority dstnat; iifname "br0" udp dport 53 dnat to 198.51.100.2:53; }; }
			table inet f { chain fw { type filter hook forward priority 0; ip daddr 198.51.100.2 udp dport 53 drop; }; }`,
			diagnose.CauseDNSBlocked, map[string]string{"in": "br0", "ports": "udp/53", "chain": "fw"},
		},
	} {
		nft(t, test.rules)
		run, progress := l.run(t)
		require.Equal(t, test.cause, run.Diagnosis.Cause, "%s\n%s\n%s", name, progress, told(run))
		require.Equal(t, model.Proven, run.Diagnosis.Confidence, "%s\n%s\n%s", name, progress, told(run))
		got := run.Diagnosis.Remedy.Parameters
		for _, key := range []string{"table", "handle"} {
			require.NotEmpty(t, got[key], name)
			delete(got, key)
		}
		require.Equal(t, test.parameters, got, name)
		nft(t, "flush ruleset")
	}
}
