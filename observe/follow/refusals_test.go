package follow_test

import (
	"net/netip"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/observe/observetest"
	"github.com/nestlab/nestlab/testbed/nettest"
)

// rejecting are rules, whether the site or the router has them, and what a guest is told.
var rejecting = []struct {
	name, rule string
	site       bool
	want       model.Refusal
	means      string
}{
	{name: "nobody listens", site: true, want: model.Refusal{Protocol: "tcp", By: observetest.Site, In: observetest.Uplink}, means: "TCP resets"},
	{name: "the site resets", rule: "tcp dport 80 reject with tcp reset", site: true, want: model.Refusal{Protocol: "tcp", By: observetest.Site, In: observetest.Uplink}, means: "TCP resets"},
	{name: "the site prohibits", rule: "tcp dport 80 reject with icmpx admin-prohibited", site: true,
		want: model.Refusal{Protocol: "icmp", Type: 3, Code: 13, By: observetest.Site, In: observetest.Uplink}, means: "ICMP: communication administratively prohibited"},
	{name: "this host prohibits", rule: "tcp dport 80 reject with icmpx admin-prohibited",
		want: model.Refusal{Protocol: "icmp", Type: 3, Code: 13, By: observetest.Gateway}, means: "ICMP: communication administratively prohibited"},
}

func TestFollowTellsWhoRefused(t *testing.T) {
	t.Parallel()
	for _, r := range rejecting {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			if !nettest.Isolated(t) {
				return
			}
			n := observetest.New(t)
			at, hook := n.Router, "forward"
			if r.site {
				at, hook = n.Site, "input"
			}
			if r.rule != "" {
				at.Do(t, func() {
					cmd := exec.CommandContext(t.Context(), "nft", "-f", "-")
					cmd.Stdin = strings.NewReader("table inet refuse { chain c { type filter hook " + hook + " priority 0; " + r.rule + "; }; }")
					out, err := cmd.CombinedOutput()
					require.NoError(t, err, "%s", out)
				})
			}
			seen := watch(t, n)
			require.Len(t, seen.Refusals, 1, "%+v", seen)
			got := seen.Refusals[0]
			require.Positive(t, got.Packets)
			r.want.To, r.want.Packets = netip.AddrPortFrom(observetest.Site, 80), got.Packets
			require.Equal(t, r.want, got)
			require.Equal(t, r.means, got.Meaning())
			require.Equal(t, !r.site, got.Own())
			require.Empty(t, seen.Missing)
		})
	}
}
