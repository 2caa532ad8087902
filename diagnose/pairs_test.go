package diagnose_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/diagnose"
	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/model/modeltest"
)

// probeAgain adds a round of the guests to a run, as a session would.
func probeAgain(run *model.Run, round string, dropped bool, watch func(p model.Place) model.Watch) {
	for _, p := range modeltest.Bridged() {
		run.Results = append(run.Results, modeltest.Probes(p, round, dropped)...)
		run.Watches = append(run.Watches, watch(p))
	}
}

// fell has a place's packets fall to Docker's policy in a round.
func fell(round string) func(model.Place) model.Watch {
	return func(p model.Place) model.Watch { return modeltest.Watch(p, round, "DROP", 24, 36) }
}

// left has a place's packets leave in a round, some as they came, and some answered.
func left(round string, untranslated, back uint64) func(model.Place) model.Watch {
	return func(p model.Place) model.Watch {
		w := modeltest.Watch(p, round, "DROP", 36, 36)
		w.Hops = hop(9, 9-untranslated, back, untranslated)
		return w
	}
}

// TestACauseBehindAnother: Docker's policy hides that nothing is translated. The
// remedy for the first does not cure, but shows the second, which is then tested
// with the first one's remedy in place.
func TestACauseBehindAnother(t *testing.T) {
	t.Parallel()
	run := modeltest.DockerForwardDrop()
	first, more := diagnose.Next(run, nil)
	require.True(t, more)
	require.Equal(t, diagnose.CauseDockerForwardDrop, first.Finding.Cause)
	run.Interventions = append(run.Interventions, first.Intervention.Intervention)
	probeAgain(&run, with, true, left(with, 9, 0))
	probeAgain(&run, after, true, fell(after))
	docker := diagnose.Judge(first, run)
	require.Equal(t, model.Supported, docker.Confidence, "it is a cause, though not the only one")
	require.Contains(t, docker.Proof.Text, "shows a second cause behind this one: while lxd-container was probed with it, packets were last seen leaving on the uplink eth0")

	findings := []model.Finding{docker}
	second, more := diagnose.Next(run, findings)
	require.True(t, more)
	for ; more && !second.Stands(); second, more = diagnose.Next(run, findings) {
		findings = append(findings, diagnose.Judge(second, run))
	}
	require.Equal(t, diagnose.CauseNATOff, second.Finding.Cause)
	require.Equal(t, map[string]string{"subnet": "10.77.0.0/24", "out": "eth0"}, second.Intervention.Remedy.Parameters)
	require.Equal(t, with, second.Intervention.Base)
	require.Equal(t, []model.Remedy{first.Intervention.Remedy}, second.Intervention.Under)
	run.Interventions = append(run.Interventions, second.Intervention.Intervention)
	probeAgain(&run, second.Intervention.Intervened, false, left(second.Intervention.Intervened, 0, 9))
	probeAgain(&run, second.Intervention.Reverted, true, left(second.Intervention.Reverted, 9, 0))
	findings = append(findings, diagnose.Judge(second, run))
	_, more = diagnose.Next(run, findings)
	require.False(t, more)

	for name, d := range map[string]model.Diagnosis{"as it was made": diagnose.Conclude(run, findings), "made again": diagnose.Diagnose(run)} {
		require.Equal(t, diagnose.CauseDockerForwardDrop, d.Cause, name)
		require.Len(t, d.Further, 1, name)
		require.Equal(t, diagnose.CauseNATOff, d.Further[0].Cause)
		require.Equal(t, model.Proven, d.Further[0].Confidence, d.Further[0].Proof.Text)
		require.Equal(t, with, d.Further[0].Proof.Rounds[0].Name)
		require.NotContains(t, d.Summary, "Not explained")
		require.NotContains(t, causes(d.RuledOut), diagnose.CauseNATOff, "what holds is not ruled out")
		requireResolved(t, run, d)
	}
}

// TestARemedyThatChangesNothingRulesOut is the other side: the packets are lost
// at the same place with it.
func TestARemedyThatChangesNothingRulesOut(t *testing.T) {
	t.Parallel()
	run := silent(hop(9, 0, 0, 9))
	h, more := diagnose.Next(run, nil)
	require.True(t, more)
	require.Equal(t, diagnose.CauseNATOff, h.Finding.Cause)
	for _, round := range []string{with, after} {
		probeAgain(&run, round, true, func(p model.Place) model.Watch {
			w := modeltest.Watch(p, round, "ACCEPT", 0, 0)
			w.Hops = hop(12, 0, 0, 12)
			return w
		})
	}
	run.Interventions = append(run.Interventions, h.Intervention.Intervention)
	f := diagnose.Judge(h, run)
	require.Equal(t, model.RuledOut, f.Confidence)
	require.Contains(t, f.Proof.Text, "did not help")
	d := diagnose.Diagnose(run)
	require.Equal(t, model.Undetermined, d.Verdict)
	require.Contains(t, d.Summary, "While lxd-container was probed, packets were last seen leaving on the uplink eth0 with the environment's own address")
}

// TestTwoIndependentCauses are found one after the other.
func TestTwoIndependentCauses(t *testing.T) {
	t.Parallel()
	for name, pair := range map[string]struct {
		first, second string
		add           func(*model.Run)
	}{
		"docker and tls": {diagnose.CauseDockerForwardDrop, diagnose.CauseRegistryRateLimit, func(r *model.Run) {
			r.Results = append(r.Results, model.Result{Place: modeltest.Runner, Round: base, Probe: model.ProbeRegistryPull,
				Target: "registry.lab.test/library/hello:1", Attempt: 1, Outcome: model.Fail, Reason: model.RateLimited})
		}},
		"docker and disk": {diagnose.CauseDockerForwardDrop, diagnose.CauseDiskFull, func(r *model.Run) {
			r.Results = append(r.Results, model.Result{Place: modeltest.DindRun, Round: base, Probe: model.ProbeAptInstall,
				Target: "hello", Attempt: 1, Outcome: model.Fail, Reason: model.DiskFull})
		}},
	} {
		run := modeltest.DockerForwardDrop()
		pair.add(&run)
		d := diagnose.Diagnose(run)
		require.Equal(t, pair.first, d.Cause, name)
		require.Len(t, d.Further, 1, name)
		require.Equal(t, pair.second, d.Further[0].Cause, name)
	}
}

// TestForwardingOffHidesThePolicy: the facts say that ip_forward is off, but not
// of the round in which it was turned on.
func TestForwardingOffHidesThePolicy(t *testing.T) {
	t.Parallel()
	run := unforwarded()
	factsOf(&run, modeltest.Runner).Forward[0].Policy = "DROP"
	for i, w := range run.Watches {
		run.Watches[i] = modeltest.Watch(w.Place, base, "DROP", 0, 0)
		run.Watches[i].Hops = hop(9, 0, 0, 0)
	}
	first, _ := diagnose.Next(run, nil)
	require.Equal(t, diagnose.CauseIPForwardOff, first.Finding.Cause)
	run.Interventions = append(run.Interventions, first.Intervention.Intervention)
	counter := uint64(0)
	fell := func(round string, rise uint64) func(model.Place) model.Watch {
		return func(p model.Place) model.Watch {
			counter += rise
			w := modeltest.Watch(p, round, "DROP", counter-rise, counter)
			w.Hops = hop(9, 0, 0, 0)
			return w
		}
	}
	probeAgain(&run, with, true, fell(with, 9))
	probeAgain(&run, after, true, fell(after, 0))
	findings := []model.Finding{diagnose.Judge(first, run)}
	require.Equal(t, model.Supported, findings[0].Confidence, findings[0].Proof)
	second, more := diagnose.Next(run, findings)
	for ; more && !second.Stands(); second, more = diagnose.Next(run, findings) {
		findings = append(findings, diagnose.Judge(second, run))
	}
	require.True(t, more)
	require.Equal(t, diagnose.CauseDockerForwardDrop, second.Finding.Cause)
	require.Equal(t, []model.Remedy{first.Intervention.Remedy}, second.Intervention.Under)
}

// TestAChangeThatWasNotMadeShowsNothingBehind: no round, no second cause.
func TestAChangeThatWasNotMadeShowsNothingBehind(t *testing.T) {
	t.Parallel()
	run := modeltest.DockerForwardDrop()
	first, _ := diagnose.Next(run, nil)
	run.Interventions = append(run.Interventions, first.Intervention.Intervention)
	d := diagnose.Diagnose(run)
	require.Equal(t, diagnose.CauseDockerForwardDrop, d.Cause)
	require.Equal(t, model.Supported, d.Confidence)
	require.Empty(t, d.Further)
}

// firstAddress adds what a guest's first address came to in a round: over IPv6, which
// leads nowhere, or over IPv4, which Docker's policy drops or not.
func firstAddress(run *model.Run, round string, six, dropped bool) {
	for _, p := range modeltest.Bridged() {
		r := model.Result{Place: p, Round: round, Probe: model.ProbeFirst, Target: "archive.lab.test:80", Attempt: 1, Outcome: model.Pass}
		r.Detail.Dials = []model.Dial{{Address: "198.51.100.10:80"}}
		switch {
		case six:
			fails(model.Unreachable)(&r)
			r.Detail.Dials = []model.Dial{{Address: "[2001:db8::10]:80", Reason: model.Unreachable}}
		case dropped:
			fails(model.ConnectTimeout)(&r)
			r.Detail.Dials = []model.Dial{{Address: "198.51.100.10:80", Reason: model.ConnectTimeout}}
		}
		run.Results = append(run.Results, r)
	}
}

// TestTwoCausesInARow: both have to be gone before a connection passes, and each
// one's remedy alone cures only what the other does not touch. The second is tested with
// the first one's remedy.
func TestTwoCausesInARow(t *testing.T) {
	t.Parallel()
	run := modeltest.DockerForwardDrop()
	firstAddress(&run, base, true, true)
	policy := func(round string, fell uint64) func(model.Place) model.Watch {
		return func(p model.Place) model.Watch { return modeltest.Watch(p, round, "DROP", 24, 24+fell) }
	}
	rounds := []struct {
		cause          string
		under          int
		dropped, still bool
		came           model.Confidence
	}{
		{diagnose.CauseDockerForwardDrop, 0, false, true, model.Proven},
		{diagnose.CauseV6NoRoute, 1, false, false, model.Supported}, // what goes around proves nothing
	}
	var findings []model.Finding
	for _, want := range rounds {
		h, more := diagnose.Next(run, findings)
		for ; more && (!h.Stands() || h.Intervention == nil); h, more = diagnose.Next(run, findings) {
			findings = append(findings, diagnose.Judge(h, run))
		}
		require.True(t, more)
		require.Equal(t, want.cause, h.Finding.Cause)
		require.Len(t, h.Intervention.Under, want.under)
		run.Interventions = append(run.Interventions, h.Intervention.Intervention)
		probeAgain(&run, h.Intervention.Intervened, want.dropped, policy(h.Intervention.Intervened, 0))
		firstAddress(&run, h.Intervention.Intervened, want.still, want.dropped)
		probeAgain(&run, h.Intervention.Reverted, want.under == 0, policy(h.Intervention.Reverted, 12))
		firstAddress(&run, h.Intervention.Reverted, true, true)
		f := diagnose.Judge(h, run)
		require.Equal(t, want.came, f.Confidence, f.Proof.Text)
		findings = append(findings, f)
	}
	for name, d := range map[string]model.Diagnosis{"as it was made": diagnose.Conclude(run, findings), "made again": diagnose.Diagnose(run)} {
		require.Equal(t, diagnose.CauseDockerForwardDrop, d.Cause, name)
		require.Equal(t, model.Proven, d.Confidence, name)
		require.Len(t, d.Further, 1, name)
		require.Equal(t, diagnose.CauseV6NoRoute, d.Further[0].Cause, name)
		require.Equal(t, model.Supported, d.Further[0].Confidence, name)
		require.NotContains(t, d.Summary, "Not explained", name)
		requireResolved(t, run, d)
	}
}
