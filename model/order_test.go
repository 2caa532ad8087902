package model_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/model"
)

func TestFinalKeepsTheLastAttempt(t *testing.T) {
	t.Parallel()
	vm, runner := model.Place{Environment: model.EnvLXDVM}, model.Place{Environment: model.EnvRunner}
	results := []model.Result{
		{Place: vm, Round: model.RoundReverted, Probe: model.ProbeHTTP, Target: "a", Attempt: 1, Outcome: model.Fail},
		{Place: vm, Round: model.RoundBaseline, Probe: model.ProbeHTTP, Target: "a", Attempt: 2, Outcome: model.Pass},
		{Place: vm, Round: model.RoundBaseline, Probe: model.ProbeHTTP, Target: "a", Attempt: 1, Outcome: model.Fail},
		{Place: vm, Round: model.RoundBaseline, Probe: model.ProbeDNSA, Target: "a", Attempt: 1, Outcome: model.Pass},
		{Place: runner, Round: model.RoundBaseline, Probe: model.ProbeHTTP, Target: "a", Attempt: 1, Outcome: model.Pass},
	}
	before := slices.Clone(results)
	var got []string
	for _, r := range model.Final(results) {
		got = append(got, r.Ref()+" "+string(r.Outcome))
	}
	require.Equal(t, []string{
		"results/runner/baseline/http/a#1 pass",
		"results/lxd-vm/baseline/dns-a/a#1 pass",
		"results/lxd-vm/baseline/http/a#2 pass",
		"results/lxd-vm/reverted/http/a#1 fail",
	}, got)
	require.Equal(t, before, results, "the caller's results stay in their order")
}

func TestComparePlaces(t *testing.T) {
	t.Parallel()
	places := []model.Place{
		{Environment: "future"}, {Environment: model.EnvLXDVM}, {Environment: model.EnvDind, Setup: "distro/runtime"},
		{Environment: model.EnvDind, Setup: "distro/build-time"}, {Environment: model.EnvRunner},
	}
	slices.SortFunc(places, model.ComparePlaces)
	var got []string
	for _, p := range places {
		got = append(got, p.String())
	}
	require.Equal(t, []string{"runner", "dind distro/build-time", "dind distro/runtime", "lxd-vm", "future"}, got)
}
