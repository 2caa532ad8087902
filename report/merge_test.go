package report_test

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/diagnose"
	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/model/modeltest"
	"github.com/nestlab/nestlab/report"
)

// part is what one of two jobs would have seen of a run; the other places it
// planned and skipped.
func part(run model.Run, command string, places ...model.Place) model.Run {
	mine := func(p model.Place) bool { return slices.Contains(places, p) }
	run.Plan.Command = command
	run.Plan.Items = slices.Clone(run.Plan.Items)
	for i, item := range run.Plan.Items {
		if !mine(item.Place) {
			run.Plan.Items[i].Skip = "not in this job"
		}
	}
	run.Facts = slices.DeleteFunc(slices.Clone(run.Facts), func(f model.Facts) bool { return !mine(f.Place) })
	run.Results = slices.DeleteFunc(slices.Clone(run.Results), func(r model.Result) bool { return !mine(r.Place) })
	run.Watches = slices.DeleteFunc(slices.Clone(run.Watches), func(w model.Watch) bool { return !mine(w.Place) })
	run.Setups = slices.DeleteFunc(slices.Clone(run.Setups), func(s model.Timing) bool { return !mine(s.Place) })
	return run
}

func TestMergeOfPartsIsTheWhole(t *testing.T) {
	t.Parallel()
	whole := modeltest.Proven()
	whole.Interventions = []model.Intervention{{
		Cause: diagnose.CauseDockerForwardDrop, Intervened: model.RoundIntervened, Reverted: model.RoundReverted,
		Remedy: model.Remedy{Name: "docker-user-accept", Parameters: map[string]string{"bridge": "lxdbr0"}},
	}}
	host := part(whole, "host-step", modeltest.Runner, modeltest.LXDContainer, modeltest.QEMUBridge, modeltest.QEMUUser)
	dind := part(whole, "compare", modeltest.DindBuild, modeltest.DindRun)
	dind.Interventions = nil
	dind.Diagnosis = model.Diagnosis{Verdict: model.Healthy}
	dind.Start = modeltest.Start.Add(-1)
	for _, runs := range [][]model.Run{{host, dind}, {dind, host}, {host, dind, host}} {
		merged, err := report.Merge(runs...)
		require.NoError(t, err)
		require.Empty(t, merged.Diagnosis.Verdict, "it has to be made again")
		require.Contains(t, []string{"host-step+compare", "compare+host-step"}, merged.Plan.Command)
		require.Equal(t, dind.Start, merged.Start)
		require.Len(t, merged.Parts, 2)
		merged.Plan.Command, merged.Start, merged.ID, merged.Parts = whole.Plan.Command, whole.Start, whole.ID, nil
		require.ElementsMatch(t, whole.Watches, merged.Watches)
		merged.Watches = whole.Watches
		require.Equal(t, encoded(t, whole), encoded(t, merged))
		require.Equal(t, model.Proven, diagnose.Diagnose(merged).Confidence)
	}
}

func TestMergeRefusesTwoAccountsOfOnePlace(t *testing.T) {
	t.Parallel()
	a, b := modeltest.Healthy(), modeltest.DockerForwardDrop()
	b.Plan.Command = "vm"
	_, err := report.Merge(a, b)
	require.EqualError(t, err, "merge runs: runner was observed by both run 1 (simulate, started 2026-03-01 12:00:00Z) "+
		"and run 2 (vm, started 2026-03-01 12:00:00Z), and differently: leave one of the two out")
}

func TestMergeRefusesLiveWithSimulated(t *testing.T) {
	t.Parallel()
	a, b := modeltest.Healthy(), modeltest.Healthy()
	b.Plan.Internet = "live"
	_, err := report.Merge(a, b)
	require.ErrorContains(t, err, "can't be compared")
	_, err = report.Merge()
	require.ErrorContains(t, err, "there are none")
}

func TestMergeTellsWhereTheRunsDiffer(t *testing.T) {
	t.Parallel()
	a := part(modeltest.Healthy(), "vm", modeltest.Runner)
	b := part(modeltest.Healthy(), "compare", modeltest.DindBuild)
	a.Plan.Faults, b.Plan.Faults = []string{"nat-off"}, []string{"nat-off", "dns-blocked"}
	a.Notes, b.Notes = []string{"same", "of a"}, []string{"same"}
	b.Plan.Platform, b.Version, b.Plan.Intervene = "azure", "v0.2.0", false
	merged, err := report.Merge(a, b)
	require.NoError(t, err)
	require.Equal(t, []string{"nat-off", "dns-blocked"}, merged.Plan.Faults)
	require.True(t, merged.Plan.Intervene)
	require.Equal(t, []string{
		"the merged runs differ in platform: simulated+azure", "the merged runs differ in version: v0.1.0+v0.2.0", "same", "of a",
	}, merged.Notes)
}

func TestMergeKeepsASkipThatNobodyFilled(t *testing.T) {
	t.Parallel()
	skipped := model.Result{Place: modeltest.QEMUUser, Round: model.RoundBaseline, Probe: model.ProbeStart, Target: "x", Attempt: 1, Outcome: model.Skip}
	a := part(modeltest.Healthy(), "vm", modeltest.Runner)
	a.Results = append(a.Results, skipped)
	b := part(modeltest.Healthy(), "compare", modeltest.DindBuild)
	skipped.Detail.Message = "for another reason"
	b.Results = append(b.Results, skipped)
	merged, err := report.Merge(a, b)
	require.NoError(t, err)
	skips := slices.DeleteFunc(slices.Clone(merged.Results), func(r model.Result) bool { return r.Outcome != model.Skip })
	require.Len(t, skips, 1)
	for _, item := range merged.Plan.Items {
		observed := item.Place == modeltest.Runner || item.Place == modeltest.DindBuild
		require.Equal(t, !observed, item.Skip != "", item.Place)
	}
}

func TestMergeDoesNotHideAPlaceThatDied(t *testing.T) {
	t.Parallel()
	a := part(modeltest.Healthy(), "vm", modeltest.Runner)
	b := part(modeltest.Healthy(), "compare", modeltest.DindBuild)
	for i := range b.Plan.Items {
		if b.Plan.Items[i].Place == modeltest.DindRun {
			b.Plan.Items[i].Skip = "" // planned, and nothing came of it
		}
	}
	merged, err := report.Merge(a, b)
	require.NoError(t, err)
	ok, lines := report.Verdict(merged)
	require.False(t, ok)
	require.Equal(t, []string{
		"dind distro/runtime: planned, but there are no results of it", "the run ended before it was diagnosed", report.Observed(merged),
	}, lines)
}

// A merged run is one of its own, the same whenever the same are merged, and names its parts.
func TestMergeGivesAnIdentity(t *testing.T) {
	t.Parallel()
	a, b := part(modeltest.Healthy(), "vm", modeltest.Runner), part(modeltest.Healthy(), "compare", modeltest.DindBuild)
	a.ID, b.ID = "a", "b"
	merged, err := report.Merge(a, b)
	require.NoError(t, err)
	for _, same := range [][]model.Run{{a, b}, {b, a}, {a, b, a}, {merged, a}, {merged}} {
		again, err := report.Merge(same...)
		require.NoError(t, err)
		require.Equal(t, merged.ID, again.ID)
		require.Equal(t, merged.Parts, again.Parts)
	}
	c := part(modeltest.Healthy(), "host-step", modeltest.LXDContainer)
	c.ID = "c"
	more, err := report.Merge(merged, c)
	require.NoError(t, err)
	require.Len(t, more.Parts, 3, "those that observed, not the merged run")
	require.NotEqual(t, merged.ID, more.ID)
	b.ID = "c"
	other, err := report.Merge(a, b)
	require.NoError(t, err)
	require.NotEqual(t, merged.ID, other.ID)
	require.Equal(t, []model.Part{{ID: "a", Command: "vm", Start: a.Start}, {ID: "b", Command: "compare", Start: b.Start}}, merged.Parts)
	folded, err := report.Fold(bytes.NewReader(journalOf(t, merged)))
	require.NoError(t, err)
	require.Equal(t, merged.ID, folded.ID)
	require.Equal(t, merged.Parts, folded.Parts)

	alone, err := report.Merge(a)
	require.NoError(t, err)
	require.Equal(t, "a", alone.ID)
	require.Empty(t, alone.Parts)
}

// A run that does not say when it began, as its journal's beginning was lost, takes the
// beginning and the identity of no other away.
func TestMergeWithALostBeginning(t *testing.T) {
	t.Parallel()
	a, b := part(modeltest.Healthy(), "vm", modeltest.Runner), part(modeltest.Healthy(), "compare", modeltest.DindBuild)
	a.Start, a.ID = time.Time{}, ""
	for _, runs := range [][]model.Run{{a, b}, {b, a}} {
		merged, err := report.Merge(runs...)
		require.NoError(t, err)
		require.Equal(t, b.Start, merged.Start)
		require.Contains(t, report.Observed(merged), "run "+merged.ID)
	}
}
