package doctor

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/remedy/catalogue"
)

// looked is a look at two bridges, of which those fail that are named.
func looked(failing ...string) (run model.Run) {
	for _, name := range []string{"br0", "docker0"} {
		r := model.Result{Place: model.Place{Environment: model.EnvBridge, Name: name}, Round: model.RoundBaseline, Probe: model.ProbeTCP, Attempt: 1, Outcome: model.Pass}
		for _, f := range failing {
			if f == name {
				r.Outcome, r.Reason = model.Fail, model.ConnectTimeout
			}
		}
		run.Results = append(run.Results, r)
	}
	return run
}

// A fix stays only where what it is for passes then, and nothing fails that had passed.
func TestUnfix(t *testing.T) {
	d := &Doctor{Journal: filepath.Join(t.TempDir(), "journal")}
	fixed := []Fixed{{Cause: "misrouted", Environments: []string{"bridge br0"}, Remedy: catalogue.Named(catalogue.IPForwardOn, nil)}}
	for name, c := range map[string]struct {
		before, after model.Run
		want          error
	}{
		"no help":         {looked("br0"), looked("br0"), ErrNoHelp},
		"nobody looked":   {looked("br0"), model.Run{}, ErrNoHelp},
		"harm":            {looked("br0"), looked("docker0"), ErrHarm},
		"harm and no use": {looked("br0"), looked("br0", "docker0"), ErrHarm},
	} {
		kept, err := d.Unfix(t.Context(), fixed, c.before, c.after)
		require.ErrorIs(t, err, c.want, name)
		require.Empty(t, kept, name)
	}
	// It would stay, but was never applied here.
	_, err := d.Unfix(t.Context(), fixed, looked("br0", "docker0"), looked("docker0"))
	require.NotErrorIs(t, err, ErrHarm)
	require.NotErrorIs(t, err, ErrNoHelp)
	require.ErrorContains(t, err, "not applied any more")
}
