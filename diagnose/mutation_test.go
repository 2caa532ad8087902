package diagnose_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/diagnose"
	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/model/modeltest"
)

// each changes the results that pick selects.
func each(run *model.Run, pick func(model.Result) bool, change func(*model.Result)) {
	for i := range run.Results {
		if pick(run.Results[i]) {
			change(&run.Results[i])
		}
	}
}

func without(run *model.Run, pick func(model.Result) bool) {
	run.Results = slices.DeleteFunc(run.Results, pick)
}

// at selects the TCP-like results of places in a round.
func at(round string, places ...model.Place) func(model.Result) bool {
	return func(r model.Result) bool {
		tcp := slices.ContainsFunc(modeltest.TCPLike(), func(t [2]string) bool { return t[0] == r.Probe })
		return tcp && r.Round == round && slices.Contains(places, r.Place)
	}
}

// first narrows a selection to one result for each place.
func first(pick func(model.Result) bool) func(model.Result) bool {
	return func(r model.Result) bool { return pick(r) && r.Probe == model.ProbeTCP }
}

func fails(why model.Reason) func(*model.Result) {
	return func(r *model.Result) { r.Outcome, r.Reason, r.Detail = model.Fail, why, model.Detail{} }
}

func passes(r *model.Result) { r.Outcome, r.Reason, r.Detail = model.Pass, "", model.Detail{} }

func factsOf(run *model.Run, p model.Place) *model.Facts {
	i := slices.IndexFunc(run.Facts, func(f model.Facts) bool { return f.Place == p })
	return &run.Facts[i]
}

func watchOf(run *model.Run, p model.Place, round string) *model.Watch {
	i := slices.IndexFunc(run.Watches, func(w model.Watch) bool { return w.Place == p && w.Round == round })
	return &run.Watches[i]
}

// base and both are what most observations are of.
var base, both = model.RoundBaseline, modeltest.Bridged()

// observations are what the rule rests on, each broken in one way.
var observations = []struct {
	name  string
	wreck func(*model.Run)
	// why is in the ruled out list; empty where the rule does not even come up.
	why string
}{
	{"the policy is ACCEPT", func(r *model.Run) { factsOf(r, modeltest.Runner).Forward[0].Policy = "ACCEPT" }, "FORWARD chain is ACCEPT"},
	{"DROP, but no DOCKER-USER", func(r *model.Run) { factsOf(r, modeltest.Runner).Forward[0].DockerUser = false }, "DOCKER-USER"},
	{"DROP, but of IPv6", func(r *model.Run) { factsOf(r, modeltest.Runner).Forward[0].Family = "ip6" }, "DOCKER-USER"},
	{"the counter stood still", func(r *model.Run) {
		w := watchOf(r, modeltest.LXDContainer, base)
		w.After = w.Before
	}, "stood still while lxd-container"},
	{"another guest on the same bridge passes", func(r *model.Run) { each(r, at(base, modeltest.QEMUBridge), passes) }, "qemu-bridge gets answers"},
	{"one target of the same guest passes", func(r *model.Run) { each(r, first(at(base, both...)), passes) }, "gets answers"},
	{"something refuses", func(r *model.Run) { each(r, first(at(base, both...)), fails(model.Refused)) }, "gets answers"},
	{"a foreign certificate answers", func(r *model.Run) { each(r, first(at(base, both...)), fails(model.TLSUntrusted)) }, "gets answers"},
	{"the runner itself fails", func(r *model.Run) { each(r, at(base, modeltest.Runner), fails(model.Permission)) }, "the runner itself fails"},
	{"ip_forward is off", func(r *model.Run) { *factsOf(r, modeltest.Runner).IPForward = false }, "ip_forward is off"},
	{"no address", func(r *model.Run) {
		factsOf(r, modeltest.LXDContainer).Interfaces = factsOf(r, modeltest.LXDContainer).Interfaces[:1]
	}, "no IPv4 address"},
	{"no default route", func(r *model.Run) { factsOf(r, modeltest.LXDContainer).Routes = nil }, "no IPv4 address with a default route"},

	{"no control", func(r *model.Run) { without(r, at(base, modeltest.Runner)) }, ""},
	{"nothing known of the runner", func(r *model.Run) { r.Facts = r.Facts[1:] }, ""},
	{"the chains could not be read", func(r *model.Run) { factsOf(r, modeltest.Runner).Forward = nil }, ""},
	{"unreachable at once", func(r *model.Run) { each(r, at(base, both...), fails(model.Unreachable)) }, ""},
	{"names do not resolve", func(r *model.Run) { each(r, at(base, both...), fails(model.DNSTimeout)) }, ""},
	{"could not observe", func(r *model.Run) {
		each(r, at(base, both...), func(r *model.Result) { r.Outcome = model.Error })
	}, ""},
	{"the target is on the bridge", func(r *model.Run) {
		each(r, func(model.Result) bool { return true }, func(r *model.Result) {
			if r.Probe == model.ProbeTCP {
				r.Target, r.Detail = "10.77.0.1:443", model.Detail{}
			}
		})
		without(r, func(r model.Result) bool { return r.Probe == model.ProbeHTTP || r.Probe == model.ProbeHTTPS })
	}, ""},
	{"the guests are on Docker's bridge", func(r *model.Run) {
		for _, p := range both {
			factsOf(r, p).Routes[0].Gateway = "172.17.0.1"
		}
	}, ""},
}

// TestRuleLetsGo breaks one observation of a proven run at a time.
func TestRuleLetsGo(t *testing.T) {
	t.Parallel()
	for _, test := range observations {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			run := modeltest.Proven()
			require.Equal(t, model.Proven, diagnose.Diagnose(run).Confidence, "before")
			test.wreck(&run)
			d := diagnose.Diagnose(run)
			require.Equal(t, model.Undetermined, d.Verdict, d.Summary)
			require.Empty(t, d.Cause)
			require.NotEmpty(t, d.Evidence)
			if test.why == "" {
				require.Empty(t, d.RuledOut)
				return
			}
			require.Equal(t, diagnose.CauseDockerForwardDrop, d.RuledOut[0].Cause)
			require.Contains(t, d.RuledOut[0].Why, test.why)
			requireResolved(t, run, d)
		})
	}
}

// with and after are the rounds of an intervention.
const with, after = model.RoundIntervened, model.RoundReverted

// interventions are those of a proven run, each broken in one way.
var interventions = []struct {
	name  string
	wreck func(*model.Run)
	want  model.Confidence
	says  string
}{
	{"nothing broken", func(*model.Run) {}, model.Proven, "the 6 probes that failed all pass with docker-user-accept (bridge=lxdbr0)"},
	{"no intervention", func(r *model.Run) {
		without(r, func(x model.Result) bool { return x.Round != model.RoundBaseline })
		r.Interventions = nil
	}, model.Supported, ""},
	{"it did not help", func(r *model.Run) { each(r, at(with, both...), fails(model.ConnectTimeout)) }, model.RuledOut, "did not help"},
	{"it helped one place", func(r *model.Run) {
		each(r, at(with, modeltest.QEMUBridge), fails(model.ConnectTimeout))
	}, model.Supported, "3 of 6 probes pass, 3 fail with connect-timeout"},
	{"one passes not", func(r *model.Run) { each(r, first(at(with, both[0])), fails(model.TLSUntrusted)) }, model.Supported, "5 of 6 probes pass, 1 fails with tls-untrusted"},
	{"one was not probed with it", func(r *model.Run) { without(r, first(at(with, both[0]))) }, model.Supported, "not complete: 5 of the 6"},
	{"one was skipped with it", func(r *model.Run) {
		each(r, first(at(with, both[0])), func(r *model.Result) { r.Outcome = model.Skip })
	}, model.Supported, "not complete"},
	{"the failure did not come back", func(r *model.Run) { each(r, at(after, both...), passes) }, model.RuledOut, "did not come back"},
	{"it came back in one place", func(r *model.Run) { each(r, at(after, both[0]), passes) }, model.Supported, "3 of them failed in the same way"},
	{"it came back in another way", func(r *model.Run) { each(r, at(after, both...), fails(model.Refused)) }, model.Supported, "0 of them failed in the same way"},
	{"not observed afterwards", func(r *model.Run) {
		each(r, at(after, both...), func(r *model.Result) { r.Outcome = model.Error })
	}, model.Supported, "0 of them"},
	{"not probed afterwards", func(r *model.Run) { without(r, at(after, both...)) }, model.Supported, "0 of them"},
	{"the change was made for another cause", func(r *model.Run) {
		r.Interventions = []model.Intervention{{Cause: "nat-off", Intervened: with, Reverted: after}}
	}, model.Supported, ""},
	{"the change was made for another bridge", func(r *model.Run) {
		r.Interventions = []model.Intervention{{Cause: diagnose.CauseDockerForwardDrop, Intervened: with, Reverted: after,
			Remedy: model.Remedy{Name: "docker-user-accept", Parameters: map[string]string{"bridge": "br1"}}}}
	}, model.Supported, ""},
	{"no change is on record", func(r *model.Run) { r.Interventions = nil }, model.Supported, ""},
	{"the change is on record", func(r *model.Run) {
		r.Interventions = []model.Intervention{{Cause: diagnose.CauseDockerForwardDrop, Intervened: with, Reverted: after,
			Remedy: model.Remedy{Name: "docker-user-accept", Parameters: map[string]string{"bridge": "lxdbr0"}}}}
	}, model.Proven, "all fail again when the change is reverted"},
}

// TestProofNeedsAllThreeRounds breaks the intervention, not the observation.
func TestProofNeedsAllThreeRounds(t *testing.T) {
	t.Parallel()
	for _, test := range interventions {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			run := modeltest.Proven()
			test.wreck(&run)
			hypotheses := diagnose.Hypotheses(run)
			require.Len(t, hypotheses, 1)
			f := diagnose.Judge(hypotheses[0], run)
			require.Equal(t, test.want, f.Confidence)
			if test.says == "" {
				require.Nil(t, f.Proof)
			} else {
				require.Contains(t, f.Proof.Text, test.says)
				require.Equal(t, test.want == model.Proven, f.Proof.Holds)
			}
			d := diagnose.Conclude(run, []model.Finding{f})
			if test.want == model.RuledOut {
				require.Equal(t, model.Undetermined, d.Verdict)
				require.Equal(t, f.Proof.Text, d.RuledOut[0].Why)
			} else {
				require.Equal(t, model.CauseFound, d.Verdict)
				require.Equal(t, test.want, d.Confidence)
			}
			requireResolved(t, run, d)
		})
	}
}
