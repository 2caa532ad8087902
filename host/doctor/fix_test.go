package doctor

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/remedy/catalogue"
)

// looked is a look at two bridges by two probes, of which those fail that are named.
func looked(failing ...string) (run model.Run) {
	for _, name := range []string{"br0", "docker0"} {
		for _, probe := range []string{model.ProbeTCP, model.ProbeDNSA} {
			r := model.Result{Place: model.Place{Environment: model.EnvBridge, Name: name}, Round: model.RoundBaseline, Probe: probe, Attempt: 1, Outcome: model.Pass}
			for _, f := range failing {
				if f == name || f == name+" "+probe {
					r.Outcome, r.Reason = model.Fail, model.ConnectTimeout
				}
			}
			run.Results = append(run.Results, r)
		}
	}
	return run
}

// foundIn is a finding about all that fails in a bridge, which a remedy is known for.
func foundIn(run model.Run, name string, r model.Remedy) model.Finding {
	f := model.Finding{Cause: "misrouted", Environments: []string{"bridge " + name}, Remedy: &r, Confidence: model.Supported}
	for _, x := range run.Results {
		if x.Name == name && x.Outcome.Bad() {
			f.Evidence = append(f.Evidence, model.Evidence{Refs: []string{x.Ref()}})
		}
	}
	return f
}

var (
	forward   = catalogue.Named(catalogue.IPForwardOn, nil)
	forwarder = catalogue.Named(catalogue.DNSForwarder, map[string]string{"bridge": "br0"})
	translate = catalogue.Named(catalogue.NATOn, map[string]string{"subnet": "10.0.0.0/24"})
)

// kept is why Unfix does not revert a remedy that was never applied here.
const kept = "not applied any more"

// A fix stays only where what it is for passes then, and nothing fails that had passed; a way
// around only where all of that passes.
func TestUnfix(t *testing.T) {
	t.Parallel()
	d := &Doctor{Journal: filepath.Join(t.TempDir(), "journal")}
	for name, c := range map[string]struct {
		remedy        model.Remedy
		before, after model.Run
		want          error
	}{
		"no help":                {forward, looked("br0"), looked("br0"), ErrNoHelp},
		"nobody looked":          {forward, looked("br0"), model.Run{}, ErrNoHelp},
		"harm":                   {forward, looked("br0"), looked("docker0"), ErrHarm},
		"harm and no use":        {forward, looked("br0"), looked("br0", "docker0"), ErrHarm},
		"harm beside its use":    {forward, looked("br0 tcp-connect"), looked("br0 dns-a"), ErrHarm},
		"harm beside other harm": {forward, looked("br0", "docker0 dns-a"), looked("docker0"), ErrHarm},
		"a way around in part":   {forwarder, looked("br0"), looked("br0 tcp-connect"), ErrPart},
		"a way around":           {forwarder, looked("br0"), looked(), nil},
		"in part":                {forward, looked("br0"), looked("br0 tcp-connect"), nil},
		"elsewhere it is as bad": {forward, looked("br0", "docker0"), looked("docker0"), nil},
	} {
		fixed := []Fixed{Fixes(foundIn(c.before, "br0", c.remedy), c.before)}
		stays, waiting, err := d.Unfix(t.Context(), fixed, c.before, c.after, false)
		require.Empty(t, stays, name)
		require.Empty(t, waiting, name)
		if c.want == nil {
			require.NotErrorIs(t, err, ErrNoHelp, name)
			require.NotErrorIs(t, err, ErrPart, name)
			require.NotErrorIs(t, err, ErrHarm, name)
			require.ErrorContains(t, err, kept, name)
			continue
		}
		require.ErrorIs(t, err, c.want, name)
	}
}

// What did not help yet waits where another cause shows behind it that can be fixed, and goes
// with the last look.
func TestUnfixWaits(t *testing.T) {
	t.Parallel()
	d := &Doctor{Journal: filepath.Join(t.TempDir(), "journal")}
	before, after := looked("br0"), looked("br0")
	fixed := []Fixed{Fixes(foundIn(before, "br0", forward), before)}
	after.Diagnosis = model.Diagnosis{Verdict: model.CauseFound, Finding: foundIn(after, "br0", translate)}
	_, waiting, err := d.Unfix(t.Context(), fixed, before, after, false)
	require.NoError(t, err)
	require.Equal(t, fixed, waiting)
	_, waiting, err = d.Unfix(t.Context(), fixed, before, after, true)
	require.ErrorIs(t, err, ErrNoHelp)
	require.Empty(t, waiting)
	for name, next := range map[string]model.Finding{
		"the same":          foundIn(after, "br0", forward),
		"elsewhere":         foundIn(looked("docker0"), "docker0", translate),
		"nothing to do":     {Cause: "misrouted", Environments: []string{"bridge br0"}},
		"nothing was found": {},
	} {
		after.Diagnosis.Finding = next
		_, waiting, err = d.Unfix(t.Context(), fixed, before, after, false)
		require.ErrorIs(t, err, ErrNoHelp, name)
		require.Empty(t, waiting, name)
	}
}

// Of proven causes and others those are fixed that are proven, and what these were proven
// behind.
func TestWorthFixing(t *testing.T) {
	t.Parallel()
	run := looked("br0", "docker0")
	front, rear, other := foundIn(run, "br0", forward), foundIn(run, "br0", translate), foundIn(run, "docker0", forwarder)
	rear.Cause, rear.Confidence = "nat-off", model.Proven
	rear.Proof = &model.Proof{Remedy: translate, Rounds: []model.Round{{Name: "intervened"}}}
	run.Diagnosis.Finding, run.Diagnosis.Further = rear, []model.Finding{front, other}
	require.Equal(t, []model.Finding{rear}, worthFixing(run))
	run.Interventions = []model.Intervention{{Cause: "nat-off", Remedy: translate, Base: "intervened", Under: []model.Remedy{forward}}}
	require.Equal(t, []model.Finding{rear, front}, worthFixing(run))
	run.Diagnosis.Finding.Confidence = model.Supported
	require.Len(t, worthFixing(run), 3)
}

// What is left is counted by the probe, whatever else fails there.
func TestLeft(t *testing.T) {
	t.Parallel()
	before := looked("br0 tcp-connect")
	f := Fixes(foundIn(before, "br0", forward), before)
	for _, c := range []struct {
		run  model.Run
		want int
	}{{looked(), 0}, {looked("br0 dns-a"), 0}, {looked("br0"), 1}, {model.Run{}, 1}} {
		left, all := f.Left(c.run)
		require.Equal(t, c.want, left)
		require.Equal(t, 1, all)
	}
}
