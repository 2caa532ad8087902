package diagnose_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/diagnose"
	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/remedy/catalogue"
)

// TestEachCauseIsFoundAndNoOther: every fixture against every rule.
func TestEachCauseIsFoundAndNoOther(t *testing.T) {
	t.Parallel()
	all := fixtures()
	for _, r := range diagnose.Rules() {
		require.Contains(t, all, r.Cause, "a rule without a fixture")
	}
	for cause, make := range all {
		t.Run(cause, func(t *testing.T) {
			t.Parallel()
			run := make()
			d := diagnose.Diagnose(run)
			require.Equal(t, cause, d.Cause, d.Summary)
			require.Empty(t, d.Further, d.Summary)
			require.Equal(t, model.Supported, d.Confidence)
			require.NotContains(t, d.Summary, "Not explained")
			for _, h := range diagnose.Hypotheses(run) {
				require.Equal(t, h.Finding.Cause == cause, h.Stands(), "%s: %+v", h.Finding.Cause, h.Contradictions)
			}
			requireResolved(t, run, d)
			requireKnownRemedy(t, d.Remedy)
			for _, r := range diagnose.Rules() {
				if r.Cause == cause && d.Remedy != nil {
					require.Contains(t, r.Remedies, d.Remedy.Name)
				}
			}
		})
	}
}

// requireKnownRemedy checks the remedy against the catalogue: its name and, of
// what can be applied, its parameters.
func requireKnownRemedy(t *testing.T, r *model.Remedy) {
	t.Helper()
	if r == nil {
		return
	}
	known, err := catalogue.Find(r.Name)
	require.NoError(t, err)
	require.NotEmpty(t, r.Commands)
	if len(r.Parameters) > 0 {
		_, err = known.Complete(r.Parameters)
		require.NoError(t, err)
	}
}

// TestHealthyIsHealthy: no rule has anything to say of a run without failures.
func TestHealthyIsHealthy(t *testing.T) {
	t.Parallel()
	run := full()
	require.Empty(t, diagnose.Hypotheses(run))
	require.Equal(t, model.Healthy, diagnose.Diagnose(run).Verdict)
}
