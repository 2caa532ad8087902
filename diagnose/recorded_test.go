package diagnose_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/diagnose"
	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/report"
)

// recorded reads a journal that nestlab wrote.
func recorded(t *testing.T, name string) model.Run {
	t.Helper()
	file, err := os.Open(filepath.Join("testdata", name))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, file.Close()) })
	run, err := report.Fold(file)
	require.NoError(t, err)
	require.Empty(t, run.Notes)
	return run
}

func TestRecordedRuns(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, file string
		change     func(*model.Run)
		verdict    model.Verdict
		cause      string
		confidence model.Confidence
		says       string
	}{
		{"docker first", "docker-first.jsonl", func(*model.Run) {}, model.CauseFound, "docker-forward-drop", model.Proven,
			"While lxd-container was probed, 54 packets fell to the policy DROP"},
		{"docker first, nothing changed", "docker-first.jsonl", func(r *model.Run) {
			without(r, func(x model.Result) bool { return x.Round != model.RoundBaseline })
			r.Interventions = nil
		}, model.CauseFound, "docker-forward-drop", model.Supported, "no intervention was made"},
		{"docker first, seen with the remedy alone", "docker-first.jsonl", func(r *model.Run) {
			without(r, func(x model.Result) bool {
				guest := x.Environment == model.EnvLXDContainer
				return guest && x.Round != model.RoundIntervened || x.Round == model.RoundReverted
			})
			for i := range r.Results {
				r.Results[i].Round = model.RoundBaseline
			}
		}, model.Healthy, "", "", "Nothing failed unexpectedly in 7 places."},
		{"dind at run time", "dind-runtime.jsonl", func(*model.Run) {}, model.Healthy, "", "", "Nothing failed unexpectedly in 2 places."},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			run := recorded(t, test.file)
			test.change(&run)
			d := diagnose.Diagnose(run)
			require.Equal(t, test.verdict, d.Verdict, d.Summary)
			require.Equal(t, test.cause, d.Cause)
			require.Equal(t, test.confidence, d.Confidence)
			require.Contains(t, d.Summary, test.says)
			require.NotContains(t, d.Summary, "Not explained")
			requireResolved(t, run, d)
		})
	}
}

// TestRecordedEvidence: what follows from the lost connections is set aside, and
// the probes that the network does not touch are not taken for evidence.
func TestRecordedEvidence(t *testing.T) {
	t.Parallel()
	run := recorded(t, "docker-first.jsonl")
	d := diagnose.Diagnose(run)
	require.Equal(t, []string{"lxd-container"}, d.Environments)
	require.Equal(t, "what needs these connections failed with them: path-mtu, apt-update and apt-install",
		d.Evidence[len(d.Evidence)-1].Says)
	require.False(t, slices.ContainsFunc(refsOf(d), func(ref string) bool { return strings.Contains(ref, "docker-run") }))
	require.Equal(t, 7, d.Proof.Rounds[0].Failed)
}
