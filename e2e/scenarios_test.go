//go:build e2e

package e2e

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/model"
)

// Under Docker's DROP a bridge without IPv6 changes nothing, and what is not
// forwarded works.
func TestScenarios(t *testing.T) {
	t.Parallel()
	run, _ := export(t, "simulate", "--no-intervene", "--scenarios", "ipv4-only", "--scenarios", "alternative-network/proxy*",
		"--scenarios", "snap")
	in := func(scenario string) map[string]model.Result {
		found := map[string]model.Result{}
		for _, r := range run.Results {
			if r.Environment == model.EnvLXDContainer && r.Scenario == scenario {
				found[r.Probe+" "+r.Target] = r
			}
		}
		require.NotEmpty(t, found, scenario)
		return found
	}
	outcome := func(scenario, probe string, want model.Outcome, reason model.Reason) {
		t.Helper()
		r := in(scenario)[probe]
		require.Equal(t, want, r.Outcome, "%s: %s: %s", scenario, probe, r.Detail.Message)
		if want != model.Pass {
			require.Equal(t, reason, r.Reason, "%s: %s: %s", scenario, probe, r.Detail.Message)
		}
	}
	const site, registry, update = "http http://archive.lab.test/", "https https://registry.lab.test/v2/",
		"apt-update deb [trusted=yes] http://archive.lab.test/debian bookworm main"
	outcome("ipv4-only", "dns-a archive.lab.test", model.Pass, "")
	outcome("ipv4-only", site, model.Fail, model.ConnectTimeout)
	outcome("ipv4-only", "docker-install distro", model.Fail, model.ConnectTimeout)
	outcome("ipv4-only", "docker-ping daemon", model.Skip, model.NoDocker)
	for _, way := range []string{"alternative-network/proxy", "alternative-network/proxy-device"} {
		outcome(way, site, model.Pass, "")
		outcome(way, registry, model.Pass, "")
		outcome(way, update, model.Pass, "")
		outcome(way, "docker-install distro", model.Pass, "")
	}
	outcome("snap", "docker-install snap", model.Skip, model.CommandNotFound)
	require.Empty(t, run.Notes, "everything was taken away again")
	require.Empty(t, run.GuestNotes)
}
