package probe_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/observe/probe"
	"github.com/nestlab/nestlab/spec/targets"
)

func simulated(t *testing.T) *targets.Set {
	t.Helper()
	set, err := targets.Builtin(targets.Simulated)
	require.NoError(t, err)
	return set
}

// Every place has every row, whatever was asked for, and in one order.
func TestPlanHasEveryRow(t *testing.T) {
	t.Parallel()
	o := probe.Options{Place: model.Place{Environment: model.EnvLXDVM}, Targets: simulated(t)}
	all, err := probe.Plan(o)
	require.NoError(t, err)
	o.Suites = []string{model.SuiteNetwork}
	some, err := probe.Plan(o)
	require.NoError(t, err)
	require.Len(t, some, len(all))
	probes := map[string]bool{}
	for i := range all {
		require.Equal(t, all[i].Probe+all[i].Target, some[i].Probe+some[i].Target)
		require.Empty(t, all[i].Skip)
		require.Equal(t, map[string]model.Reason{
			model.SuiteNetwork: "", model.SuitePackages: model.NotApplicable, model.SuiteDocker: model.NoDocker,
		}[some[i].Suite], some[i].Skip)
		probes[all[i].Probe] = true
	}
	require.Len(t, probes, len(model.Probes())-3, "all but start, and kvm-open and docker-install, which are asked for by name")
}

func TestSkippedProbesAreResults(t *testing.T) {
	t.Parallel()
	set := simulated(t)
	set.DNS, set.TCP, set.HTTP, set.HTTPS, set.ICMP, set.PathMTU = nil, nil, nil, nil, nil, nil
	results := observe(t, set, nil, model.SuiteNetwork)
	require.Len(t, results, 6)
	for _, r := range results {
		require.Equal(t, model.Skip, r.Outcome)
		require.NotEmpty(t, r.Detail.Message)
		require.NotEmpty(t, r.Reason)
	}
}

func TestMisuse(t *testing.T) {
	t.Parallel()
	good := probe.Options{Place: model.Place{Environment: model.EnvRunner}, Targets: simulated(t)}
	for wants, change := range map[string]func(*probe.Options){
		"no target set": func(o *probe.Options) { o.Targets = nil },
		`unknown environment "moon"; known: runner, bridge`:     func(o *probe.Options) { o.Place.Environment = "moon" },
		`unknown suite "all"; known: network, packages, docker`: func(o *probe.Options) { o.Suites = []string{"all"} },
		`unknown platform "gcp"; known: azure, github-hosted`:   func(o *probe.Options) { o.Platform = "gcp" },
		`round "../x" is no name; write baseline`:               func(o *probe.Options) { o.Round = "../x" },
		"99 retries; write 0 to 10":                             func(o *probe.Options) { o.Retries = 99 },
	} {
		o := good
		change(&o)
		err := probe.Run(t.Context(), o, func(model.Result) { t.Error("nothing may be observed") })
		require.ErrorContains(t, err, wants)
		_, err = probe.Plan(o)
		require.ErrorContains(t, err, wants)
	}
}

// An interruption loses no row.
func TestInterruptedRun(t *testing.T) {
	t.Parallel()
	o := probe.Options{Place: model.Place{Environment: model.EnvRunner}, Targets: simulated(t)}
	plan, err := probe.Plan(o)
	require.NoError(t, err)
	count := 0
	require.NoError(t, probe.Run(canceled(), o, func(r model.Result) {
		count++
		require.Equal(t, model.Error, r.Outcome, show(t, r))
		require.Equal(t, model.Canceled, r.Reason)
	}))
	require.Len(t, plan, count)
}
