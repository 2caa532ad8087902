package probe

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/spec/targets"
)

// attempts runs one made-up probe and returns what was emitted.
func attempts(ctx context.Context, t *testing.T, retries int, run probeFunc) []model.Result {
	t.Helper()
	var out []model.Result
	r := &runner{
		o:    Options{Place: model.Place{Environment: model.EnvRunner}, Round: model.RoundBaseline, Targets: &targets.Set{}, Retries: retries},
		env:  &env{targets: &targets.Set{}, apt: &aptState{}, docker: &dockerState{}},
		emit: func(result model.Result) { out = append(out, result) },
	}
	r.attempts(ctx, task{suite: model.SuiteNetwork, probe: model.ProbeTCP, target: "x:1", deadline: 50 * time.Millisecond, run: run})
	return out
}

// failing fails n times, then passes.
func failing(n int, reason model.Reason) (probeFunc, *int) {
	calls := 0
	return func(context.Context, *env, string) observation {
		if calls++; calls <= n {
			return observation{reason: reason, message: "as told"}
		}
		return observation{}
	}, &calls
}

func TestRetriesOnlyWhatIsTransient(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		reason  model.Reason
		fails   int
		retries int
		calls   int
		last    model.Outcome
	}{
		"no retries asked for":  {model.ConnectTimeout, 1, 0, 1, model.Fail},
		"helps":                 {model.ConnectTimeout, 1, 2, 2, model.Pass},
		"does not help":         {model.ServerError, 9, 2, 3, model.Fail},
		"refused is no timeout": {model.Refused, 9, 2, 1, model.Fail},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run, calls := failing(c.fails, c.reason)
			results := attempts(t.Context(), t, c.retries, run)
			require.Equal(t, c.calls, *calls)
			require.Len(t, results, c.calls)
			for i, r := range results {
				require.Equal(t, i+1, r.Attempt)
			}
			require.Equal(t, c.last, results[len(results)-1].Outcome)
		})
	}
}

func TestProbeThatPanics(t *testing.T) {
	t.Parallel()
	results := attempts(t.Context(), t, 3, func(context.Context, *env, string) observation { panic("at the disco") })
	require.Len(t, results, 1)
	require.Equal(t, model.Error, results[0].Outcome)
	require.Contains(t, results[0].Detail.Message, "at the disco")
	require.Contains(t, results[0].Detail.Output, "attempt_test.go")
}

func TestProbeThatDoesNotStop(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	defer close(release)
	results := attempts(t.Context(), t, 0, func(context.Context, *env, string) observation {
		<-release
		return observation{}
	})
	require.Len(t, results, 1)
	require.Equal(t, model.Error, results[0].Outcome)
	require.Equal(t, model.DeadlineExceeded, results[0].Reason)
	require.Greater(t, results[0].DurationMS, int64(2000))
}

func TestInterruptedProbes(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	results := attempts(ctx, t, 3, func(ctx context.Context, _ *env, _ string) observation {
		cancel()
		<-ctx.Done()
		return seen(ctx.Err())
	})
	require.Len(t, results, 1)
	require.Equal(t, model.Error, results[0].Outcome)
	require.Equal(t, model.Canceled, results[0].Reason)

	run, calls := failing(0, "")
	results = attempts(ctx, t, 0, run)
	require.Zero(t, *calls)
	require.Len(t, results, 1)
	require.Equal(t, model.Canceled, results[0].Reason)
	require.Equal(t, 1, results[0].Attempt)
}
