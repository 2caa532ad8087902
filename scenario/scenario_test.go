package scenario_test

import (
	"os"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/scenario"
)

func names(chosen []scenario.Scenario) []string {
	var all []string
	for _, s := range chosen {
		all = append(all, s.Name)
	}
	return all
}

func TestTheCatalogueIsWhole(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, s := range scenario.All() {
		require.False(t, seen[s.Name], "%s is there twice", s.Name)
		seen[s.Name] = true
		require.NotEmpty(t, s.Changes, s.Name)
		require.NotEmpty(t, s.Why, s.Name)
		require.NotEmpty(t, s.Environments, s.Name)
		for _, e := range s.Environments {
			require.Contains(t, model.Environments(), e, s.Name)
		}
		for _, p := range s.Probes {
			require.Contains(t, model.Probes(), p, s.Name)
		}
	}
	// What has to be tried.
	families := []string{
		"baseline", "ipv4-only", "bridge-tuned", "nic-models", "alternative-network", "retries", "snap", "cached",
		"convenience-script", "ping", "runner",
	}
	for _, f := range families {
		require.True(t, slices.ContainsFunc(scenario.All(), func(s scenario.Scenario) bool { return s.Family() == f }), f)
	}
}

func TestSelect(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		patterns, want []string
	}{
		{nil, nil},
		{[]string{"ipv4-only"}, []string{"ipv4-only"}},
		{[]string{"alternative-network/proxy*"}, []string{"alternative-network/proxy", "alternative-network/proxy-device"}},
		{[]string{"nic-models", "!nic-models/e1000*"}, []string{
			"nic-models/virtio-net", "nic-models/vmxnet3", "nic-models/rtl8139", "nic-models/no-offloads"}},
		{[]string{"*"}, scenario.Names()},
	} {
		chosen, err := scenario.Select(c.patterns)
		require.NoError(t, err)
		require.Equal(t, c.want, names(chosen))
	}
	_, err := scenario.Select([]string{"ipv6-only"})
	require.ErrorContains(t, err, `unknown scenario "ipv6-only": there are runner, baseline`)
	_, err = scenario.Select([]string{"snap", "!snap"})
	require.ErrorContains(t, err, "nothing is left")
}

// A scenario that cannot be tried is a row with a reason, never missing.
func TestItems(t *testing.T) {
	t.Parallel()
	all := scenario.All()
	for _, available := range [][]string{
		{}, {model.EnvLXDContainer}, {model.EnvLXDContainer, model.EnvLXDVM}, {model.EnvQEMUBridge, model.EnvQEMUUser},
	} {
		items := scenario.Items(all, available)
		for _, s := range all {
			if s.Name == scenario.Runner {
				continue
			}
			rows := 0
			for _, i := range items {
				if i.Scenario != s.Name {
					continue
				}
				rows++
				require.Equal(t, i.Skip == "", slices.Contains(available, i.Environment), "%s: %s", i.Place, i.Skip)
				require.NotEmpty(t, i.Suites)
			}
			require.Positive(t, rows, "%s is no row where there is %v", s.Name, available)
		}
	}
}

func TestThePlaceNamesTheScenario(t *testing.T) {
	t.Parallel()
	chosen, err := scenario.Select([]string{"alternative-network/macvlan", "runner"})
	require.NoError(t, err)
	require.Equal(t, model.Place{Environment: model.EnvRunner}, chosen[0].In(model.EnvRunner), "the control is the runner as it is")
	p := chosen[1].In(model.EnvLXDVM)
	require.Equal(t, "lxd-vm alternative-network/macvlan", p.String())
	require.Equal(t, "lxd-vm@alternative-network/macvlan", p.Key())
}

func TestTheDocumentationListsEveryScenario(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../docs/scenarios.md")
	require.NoError(t, err)
	for _, s := range scenario.All() {
		require.Contains(t, string(text), "| `"+s.Name+"` | "+s.Changes+" | "+s.Why+" |")
	}
}
