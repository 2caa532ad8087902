//go:build e2e

package e2e

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/report"
	"github.com/nestlab/nestlab/testbed/accuracy"
)

// What the predecessor believed and what is true look the same from inside a
// guest; only the runner shows whether the packets leave.
func TestTheTheoryAndTheTruthAreToldApart(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ cause, ruledOut string }{
		{"upstream-blocks-guests", "docker-forward-drop"},
		{"docker-forward-drop", "upstream-blocks-guests"},
	} {
		t.Run(c.cause, func(t *testing.T) {
			t.Parallel()
			run, _ := export(t, "simulate", "--order", "lxd-first", "--faults", c.cause,
				"--environments", model.EnvRunner, "--environments", model.EnvLXDContainer)
			requireDropped(t, results(run, model.EnvLXDContainer, "", model.RoundBaseline))
			require.Equal(t, []string{c.cause}, run.Plan.Faults)
			require.Equal(t, c.cause, run.Diagnosis.Cause)
			var refuted []string
			for _, r := range run.Diagnosis.RuledOut {
				refuted = append(refuted, r.Cause)
			}
			require.Contains(t, refuted, c.ruledOut)
		})
	}
}

func TestUnknownFaultsAreRefused(t *testing.T) {
	t.Parallel()
	_, stderr, err := try(t, "simulate", "--faults", "gremlins", "table")
	require.Error(t, err)
	require.Contains(t, stderr, "gremlins")
	require.Contains(t, stderr, "firewall-forward-drop", "the known ones are listed")
	_, stderr, err = try(t, "accuracy", "--cases", "gremlins*", "entries")
	require.Error(t, err)
	require.Contains(t, stderr, "gremlins*")
}

// A few cases of make accuracy: one healthy, two broken, in two starts of the daemons.
func TestAccuracy(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	call(t, "accuracy", "--cases", "healthy-lxd-first-1", "--cases", "lxd-first+nat-off", "--cases", "lxd-first+dockerd-storage-driver",
		"export", "--path", dir)
	text, err := os.ReadFile(filepath.Join(dir, "accuracy.json"))
	require.NoError(t, err)
	var got struct {
		Summary accuracy.Summary  `json:"summary"`
		Cases   []accuracy.Scored `json:"cases"`
	}
	require.NoError(t, json.Unmarshal(text, &got))
	require.Len(t, got.Cases, 3)
	for _, c := range got.Cases {
		require.Empty(t, c.Error, c.Name)
		require.True(t, c.All, "%s: %s", c.Name, caseSummary(t, dir, c.Name))
	}
	require.Equal(t, 2, got.Summary.SinglesRight)
	require.Equal(t, 2, got.Summary.SinglesProven, "dockerd was restarted with the other driver, and back")
	require.Zero(t, got.Summary.HealthyFalse)
}

// caseSummary is what the diagnosis of a case came to.
func caseSummary(t *testing.T, dir, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "cases", name, "run.json"))
	require.NoError(t, err)
	run, err := report.Decode(bytes.NewReader(text))
	require.NoError(t, err)
	return run.Diagnosis.Summary
}
