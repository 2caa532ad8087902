package diagnose_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/diagnose"
	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/model/modeltest"
)

// A family that is dead where the other one answers is no lost way of that one.
func TestADeadFamilyIsJudgedByItself(t *testing.T) {
	t.Parallel()
	const six, four = "[2001:db8::10]:80", "198.51.100.10:80"
	dead := func(r *model.Result) {
		switch r.Probe {
		case model.ProbeTCP:
			fails(model.ConnectTimeout)(r)
			r.Detail.Dials = []model.Dial{{Address: six, Reason: model.ConnectTimeout}, {Address: four}}
		case model.ProbeFirst:
			fails(model.ConnectTimeout)(r)
			r.Detail.Dials = []model.Dial{{Address: six, Reason: model.ConnectTimeout}}
		}
	}
	for _, places := range [][]model.Place{{modeltest.LXDContainer}, {modeltest.Runner}} {
		d := diagnose.Diagnose(in(places, dead))
		require.Equal(t, diagnose.CauseV6NoRoute, d.Cause, d.Summary)
		require.Empty(t, d.Further)
		require.NotContains(t, d.Summary, "Not explained")
	}
}
