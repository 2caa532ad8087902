package diagnose_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/diagnose"
	"github.com/nestlab/nestlab/model"
)

// one changes a single result of a place.
func one(p model.Place, probe string, change func(*model.Result)) func(*model.Run) {
	return func(r *model.Run) {
		done := false
		each(r, func(x model.Result) bool { return x.Place == p && x.Probe == probe && !done }, func(x *model.Result) {
			change(x)
			done = true
		})
	}
}

func noHops(r *model.Run) {
	for i := range r.Watches {
		r.Watches[i].Hops = nil
	}
}

// TestEachRuleLetsGo takes the fixture of a cause and breaks the one observation
// that the rule rests on: the cause must not be named any more.
func TestEachRuleLetsGo(t *testing.T) {
	t.Parallel()
	for _, m := range wrecks {
		t.Run(m.cause+"/"+m.name, func(t *testing.T) {
			t.Parallel()
			run := fixtures()[m.cause]()
			require.Equal(t, m.cause, diagnose.Diagnose(run).Cause, "before")
			m.wreck(&run)
			d := diagnose.Diagnose(run)
			require.NotEqual(t, m.cause, d.Cause, d.Summary)
			for _, f := range d.Further {
				require.NotEqual(t, m.cause, f.Cause)
			}
			requireResolved(t, run, d)
		})
	}
}

// TestWhatIsLeftOfASiteIsNoOutage: its requests fail for a cause that was found;
// that a daemon words the same differently is no second one.
func TestWhatIsLeftOfASiteIsNoOutage(t *testing.T) {
	t.Parallel()
	run := fixtures()[diagnose.CauseTLSIntercepted]()
	each(&run, func(x model.Result) bool { return x.Probe == model.ProbeRegistryPull }, fails(model.Refused))
	d := diagnose.Diagnose(run)
	require.Equal(t, diagnose.CauseTLSIntercepted, d.Cause)
	require.Empty(t, d.Further)
}

// TestOneSlowGuestIsNoSlowMirror: a recorded healthy run, in which apt ran out of time
// in the guest alone.
func TestOneSlowGuestIsNoSlowMirror(t *testing.T) {
	t.Parallel()
	run := recorded(t, "healthy.jsonl")
	each(&run, func(r model.Result) bool {
		return r.Environment == model.EnvLXDContainer && (r.Probe == model.ProbeAptUpdate || r.Probe == model.ProbeAptInstall)
	}, fails(model.DeadlineExceeded))
	d := diagnose.Diagnose(run)
	require.Equal(t, model.Undetermined, d.Verdict, d.Summary)
	require.Contains(t, whyNot(t, d, diagnose.CauseSlowMirror), "came in time elsewhere")
	requireResolved(t, run, d)
}
