//go:build e2e

package e2e

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/model/modeltest"
	"github.com/nestlab/nestlab/report"
)

// bridged are the environments on LXD's bridge, whose packets the runner forwards.
var bridged = []string{model.EnvLXDContainer, model.EnvQEMUBridge}

// The hosted runner's order: dockerd turns forwarding on, and drops what it does
// not know.
func TestDockerFirst(t *testing.T) {
	t.Parallel()
	run, dir := export(t, "simulate", "--order", "docker-first")
	for _, p := range places {
		t.Run(p.environment+" "+p.setup, func(t *testing.T) {
			requireHealthy(t, results(run, p.environment, p.setup, model.RoundBaseline), p.docker)
		})
	}
	for _, environment := range bridged {
		t.Run(environment, func(t *testing.T) {
			requireDropped(t, results(run, environment, "", model.RoundBaseline))
			requireHealthy(t, results(run, environment, "", model.RoundIntervened), false)
			requireDropped(t, results(run, environment, "", model.RoundReverted))
		})
	}
	// QEMU's user-mode network is not forwarded: its packets are the runner's own.
	t.Run(model.EnvQEMUUser, func(t *testing.T) {
		requireHealthy(t, results(run, model.EnvQEMUUser, "", model.RoundBaseline), false)
	})
	d := run.Diagnosis
	require.Equal(t, model.CauseFound, d.Verdict)
	require.Equal(t, "docker-forward-drop", d.Cause)
	require.Equal(t, model.Proven, d.Confidence)
	require.Equal(t, bridged, d.Environments)
	require.Equal(t, "docker-user-accept", d.Remedy.Name)
	var rounds []model.Outcome
	for _, r := range d.Proof.Rounds {
		rounds = append(rounds, r.Outcome)
	}
	require.Equal(t, []model.Outcome{model.Fail, model.Pass, model.Fail}, rounds)
	for _, e := range d.Evidence {
		for _, ref := range e.Refs {
			require.True(t, modeltest.Resolve(run, ref), "%s points nowhere", ref)
		}
	}
	require.Empty(t, run.Notes)
	require.Empty(t, run.GuestNotes)
	requireSetups(t, run)
	requireGuests(t, run)
	ok, _ := report.Verdict(run)
	require.False(t, ok, "the check must fail")
	for _, f := range []string{"journal.jsonl", "report.md", "report.txt", "diagnosis.txt"} {
		require.FileExists(t, filepath.Join(dir, f))
	}
	journal, err := os.Open(filepath.Join(dir, "journal.jsonl"))
	require.NoError(t, err)
	defer journal.Close()
	folded, err := report.Fold(journal)
	require.NoError(t, err)
	require.Equal(t, run.Diagnosis, folded.Diagnosis, "the journal and the run differ")
}

// With LXD first forwarding is on before dockerd starts, which then leaves it be.
func TestLXDFirst(t *testing.T) {
	t.Parallel()
	run, _ := export(t, "simulate", "--order", "lxd-first")
	for _, p := range places {
		requireHealthy(t, results(run, p.environment, p.setup, model.RoundBaseline), p.docker)
	}
	for _, environment := range append([]string{model.EnvQEMUUser}, bridged...) {
		requireHealthy(t, results(run, environment, "", model.RoundBaseline), false)
	}
	require.Equal(t, model.Healthy, run.Diagnosis.Verdict)
	require.Empty(t, run.Diagnosis.Cause)
	require.Empty(t, run.Notes)
	require.Empty(t, run.GuestNotes)
	ok, lines := report.Verdict(run)
	require.True(t, ok, "%v", lines)
}

// requireDropped checks that names resolve and nothing else gets out.
func requireDropped(t *testing.T, found []model.Result) {
	t.Helper()
	require.NotEmpty(t, found)
	for _, r := range found {
		switch r.Probe {
		case model.ProbeDNSA, model.ProbeDNSAAAA:
			require.Equal(t, model.Pass, r.Outcome, r.Ref())
		case model.ProbeTCP, model.ProbeHTTP, model.ProbeHTTPS:
			require.Equal(t, model.Fail, r.Outcome, r.Ref())
			require.Equal(t, model.ConnectTimeout, r.Reason, r.Ref())
		}
	}
}

// requireSetups checks that the times that are compared were measured.
func requireSetups(t *testing.T, run model.Run) {
	t.Helper()
	took := map[string]int64{}
	for _, s := range run.Setups {
		if s.Environment == model.EnvDind {
			took[s.Setup+" "+s.Step] = s.DurationMS
		}
	}
	for _, step := range []string{
		"distro/build-time image-build", "distro/runtime install",
		"distro/build-time daemon-ready", "distro/runtime daemon-ready",
		"distro/build-time first-container", "distro/runtime first-container",
		"distro/build-time total", "distro/runtime total",
	} {
		require.Positive(t, took[step], "%s was not measured", step)
	}
}

// requireGuests checks that each guest says how it was run, and ran a kernel of
// its own.
func requireGuests(t *testing.T, run model.Run) {
	t.Helper()
	notes, kernels := map[string]string{}, map[string]string{}
	for _, s := range run.Setups {
		if s.Step == model.StepStart {
			notes[s.Environment] = s.Note
		}
	}
	for _, f := range run.Facts {
		kernels[f.Environment] = f.Kernel
	}
	for _, environment := range []string{model.EnvQEMUBridge, model.EnvQEMUUser} {
		require.Regexp(t, "^(kvm$|tcg: )", notes[environment])
		require.NotContains(t, notes[environment], "; no ", "it lacks something")
		require.NotEqual(t, kernels[model.EnvRunner], kernels[environment])
		require.Contains(t, kernels[environment], "cloud-amd64")
	}
}
