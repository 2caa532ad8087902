package follow_test

import (
	"net/netip"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/observe/follow"
	"github.com/nestlab/nestlab/observe/observetest"
	"github.com/nestlab/nestlab/testbed/nettest"
)

// Answers that a rule keeps from being translated back are told by that rule, whatever ends
// them then; without the rule nothing is told.
func TestFollowTellsUntrackedAnswers(t *testing.T) {
	t.Parallel()
	if !nettest.Isolated(t) {
		return
	}
	n := observetest.New(t)
	n.Router.Route(t, observetest.Uplink, "", observetest.Site)
	n.Site.Do(t, func() { observetest.ServeWeb(t, netip.AddrPortFrom(observetest.Site, 80)) })
	run := func(line string) {
		words := strings.Fields(line)
		out, err := exec.CommandContext(t.Context(), words[0], words[1:]...).CombinedOutput()
		require.NoError(t, err, "%s: %s", line, out)
	}
	for _, line := range []string{
		"nft add table inet site", "nft add chain inet site post { type nat hook postrouting priority srcnat ; }", "nft add rule inet site post oifname up0 masquerade",
		"nft add chain inet site pre { type filter hook prerouting priority raw ; }", "nft add chain inet site in { type filter hook input priority 0 ; }",
	} {
		run(line)
	}
	dial := func() (model.Sightings, error) {
		f := follow.Start(t.Context(), follow.Subject{
			Bridges: []string{observetest.Bridge}, Networks: []netip.Prefix{netip.PrefixFrom(observetest.Gateway, 24).Masked()}, Destinations: []netip.Addr{observetest.Site},
		})
		err := n.Guest.Dial(t, "tcp", observetest.Site, 80, time.Second)
		return f.Stop(t.Context(), nil), err
	}
	seen, err := dial()
	require.NoError(t, err)
	require.Empty(t, seen.Drops)
	run("nft add rule inet site pre iifname up0 tcp sport 80 notrack")
	for _, end := range []string{"", "nft add rule inet site in iifname up0 drop"} {
		if end != "" {
			run(end)
		}
		seen, err := dial()
		require.Error(t, err)
		var rules []model.Sighting
		for _, s := range seen.Drops {
			if s.Rule != nil {
				rules = append(rules, s)
			}
		}
		require.Len(t, rules, 1, "%+v", rules)
		require.Equal(t, model.Untracked, rules[0].Fate)
		require.True(t, rules[0].Reply)
		require.Contains(t, rules[0].Rule.Text, "notrack")
		require.Equal(t, netip.AddrPortFrom(observetest.Site, 80), rules[0].Flows[0].Source)
	}
}
