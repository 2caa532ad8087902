package report_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/model/modeltest"
	"github.com/nestlab/nestlab/report"
)

// TestTheHopsAreShown: as found alone, and not at all where nothing was watched.
func TestTheHopsAreShown(t *testing.T) {
	t.Parallel()
	run := modeltest.Proven()
	var b strings.Builder
	require.NoError(t, report.Table(&b, run))
	require.NotContains(t, b.String(), "Packets on the runner")
	for i := range run.Watches {
		run.Watches[i].Hops = []model.Hop{
			{Interface: "eth0", Role: model.RoleUplink, Place: model.Flow{SYN: 3}, Runner: model.Flow{SYN: 51, SYNACK: 7}},
			{Interface: "lxdbr0", Role: model.RoleBridge, Place: model.Flow{Out: 60, SYN: 54}},
		}
	}
	run.Inspections = []model.Inspection{{Place: modeltest.LXDContainer, Round: model.RoundBaseline, NICs: []model.NIC{
		{Interface: "dummy0"}, {Interface: "ens3", Flow: model.Flow{SYN: 58}},
	}}}
	for name, write := range map[string]func() error{
		"table":    func() error { b.Reset(); return report.Table(&b, run) },
		"markdown": func() error { b.Reset(); return report.Markdown(&b, run) },
	} {
		require.NoError(t, write())
		_, rows, found := strings.Cut(b.String(), "Packets on the runner while each environment was probed")
		require.True(t, found, name)
		found = false
		for l := range strings.Lines(rows) {
			cells := strings.Fields(strings.NewReplacer("|", " ", "│", " ").Replace(l))
			if len(cells) > 2 && cells[0] == "lxd-container" && cells[3] == "lxdbr0" {
				require.Equal(t, []string{"58", "(ens3)"}, cells[1:3], "from its own NIC over the bridge to the uplink, in one row")
				require.Equal(t, []string{"54", "12", "51", "3", "7"}, cells[4:], name)
				found = true
			}
		}
		require.True(t, found, "%s: %s", name, rows)
	}
}
