package diagnose_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/diagnose"
	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/model/modeltest"
)

// TestRandomRuns: whatever is observed, a diagnosis keeps its promises.
func TestRandomRuns(t *testing.T) {
	t.Parallel()
	seen := map[model.Confidence]int{}
	for seed := range uint64(1500) {
		run := modeltest.Random(seed)
		d := diagnose.Diagnose(run)
		require.Equal(t, d, diagnose.Diagnose(run), "seed %d", seed)
		requireResolved(t, run, d)
		require.NotEmpty(t, d.Summary)
		out := causes(d.RuledOut)
		slices.Sort(out)
		require.Equal(t, slices.Compact(slices.Clone(out)), out, "each cause is ruled out once")
		bad := slices.ContainsFunc(model.Final(run.Results), func(r model.Result) bool {
			return r.Round == model.RoundBaseline && r.Outcome.Bad()
		})
		if len(run.Results) > 0 {
			require.Equal(t, !bad, d.Verdict == model.Healthy, "seed %d: %s", seed, d.Summary)
		}
		for _, f := range append([]model.Finding{d.Finding}, d.Further...) {
			seen[f.Confidence]++
			requireSound(t, run, f)
		}
	}
	require.Positive(t, seen[model.Proven], "the test has to see each kind")
	require.Positive(t, seen[model.Supported])
	require.Positive(t, seen[model.Unsure])
}

// requireSound checks a finding against the results themselves.
func requireSound(t *testing.T, run model.Run, f model.Finding) {
	t.Helper()
	if f.Confidence != model.Proven {
		require.False(t, f.Proof != nil && f.Proof.Holds)
		return
	}
	require.Len(t, f.Proof.Rounds, 3)
	want := []model.Outcome{model.Fail, model.Pass, model.Fail}
	final := model.Final(run.Results)
	for i, r := range f.Proof.Rounds {
		require.Equal(t, want[i], r.Outcome)
		require.NotEmpty(t, r.Refs)
		require.Len(t, r.Refs, len(f.Proof.Rounds[0].Refs))
		for _, ref := range r.Refs {
			at := slices.IndexFunc(final, func(x model.Result) bool { return x.Ref() == ref })
			require.GreaterOrEqual(t, at, 0, ref)
			require.Equal(t, r.Name, final[at].Round)
			require.Equal(t, want[i] == model.Pass, final[at].Outcome == model.Pass || final[at].Outcome == model.XPass)
		}
	}
}
