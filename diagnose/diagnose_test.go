package diagnose_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/diagnose"
	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/model/modeltest"
)

// refsOf are all references of a diagnosis.
func refsOf(d model.Diagnosis) []string {
	var refs []string
	for _, f := range append([]model.Finding{d.Finding}, d.Further...) {
		for _, e := range f.Evidence {
			refs = append(refs, e.Refs...)
		}
		if f.Proof != nil {
			for _, r := range f.Proof.Rounds {
				refs = append(refs, r.Refs...)
			}
		}
	}
	for _, r := range d.RuledOut {
		refs = append(refs, r.Refs...)
	}
	return refs
}

func requireResolved(t *testing.T, run model.Run, d model.Diagnosis) {
	t.Helper()
	for _, ref := range refsOf(d) {
		require.True(t, modeltest.Resolve(run, ref), ref)
	}
}

func TestHealthy(t *testing.T) {
	t.Parallel()
	run := modeltest.Healthy()
	d := diagnose.Diagnose(run)
	require.Equal(t, model.Healthy, d.Verdict)
	require.Equal(t, "Nothing failed unexpectedly in 6 environments. 6 probes failed as expected here.", d.Summary)
	require.Empty(t, d.Cause)
	require.Equal(t, []string{"docker-forward-drop", "ip-forward-off"}, causes(d.RuledOut))
	require.Equal(t, "the policy of the runner's FORWARD chain is ACCEPT", d.RuledOut[0].Why)
	requireResolved(t, run, d)

	run.Facts = nil
	require.Empty(t, diagnose.Diagnose(run).RuledOut, "what was not read can't rule anything out")
}

func TestNothingObserved(t *testing.T) {
	t.Parallel()
	d := diagnose.Diagnose(model.Run{})
	require.Equal(t, model.Undetermined, d.Verdict)
	require.Contains(t, d.Summary, "Nothing was observed")
}

func TestSupportedWithoutIntervention(t *testing.T) {
	t.Parallel()
	run := modeltest.DockerForwardDrop()
	d := diagnose.Diagnose(run)
	require.Equal(t, model.CauseFound, d.Verdict)
	require.Equal(t, diagnose.CauseDockerForwardDrop, d.Cause)
	require.Equal(t, model.Supported, d.Confidence)
	require.Equal(t, []string{"lxd-container", "qemu-bridge"}, d.Environments)
	require.Equal(t, "While lxd-container and qemu-bridge were probed, 24 packets were dropped by the runner's FORWARD chain "+
		"(policy DROP, set by Docker). 6 connections from there got no answer, though the runner makes the same ones. "+
		"DNS works because the resolver is the runner's own address on lxdbr0 (INPUT, not FORWARD). "+
		"Not proven: no intervention was made.", d.Summary)
	require.Equal(t, map[string]string{"bridge": "lxdbr0"}, d.Remedy.Parameters)
	require.Equal(t, []string{
		"iptables -I DOCKER-USER -i lxdbr0 -j ACCEPT",
		"iptables -I DOCKER-USER -o lxdbr0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
	}, d.Remedy.Commands)
	require.Nil(t, d.Proof)
	requireResolved(t, run, d)
	require.Equal(t, []string{"upstream-blocks-guests", "dns-blocked", "runner-offline", "dhcp-blocked", "ip-forward-off"}, causes(d.RuledOut))
}

func causes(all []model.Refuted) []string {
	var names []string
	for _, r := range all {
		names = append(names, r.Cause)
	}
	return names
}

func TestProvenCountsItsRounds(t *testing.T) {
	t.Parallel()
	run := modeltest.Proven()
	d := diagnose.Diagnose(run)
	require.Equal(t, model.Proven, d.Confidence)
	require.True(t, d.Proof.Holds)
	var got []model.Round
	for _, r := range d.Proof.Rounds {
		require.Len(t, r.Refs, 6)
		r.Refs = nil
		got = append(got, r)
	}
	require.Equal(t, []model.Round{
		{Name: "baseline", Outcome: model.Fail, Failed: 6},
		{Name: "intervened", Outcome: model.Pass, Passed: 6},
		{Name: "reverted", Outcome: model.Fail, Failed: 6},
	}, got)
	require.Contains(t, causes(d.RuledOut), "nat-off")
	requireResolved(t, run, d)
}

// TestSaysOnlyWhatWasSeen takes one observation away at a time: the sentence
// that rests on it has to go with it.
func TestSaysOnlyWhatWasSeen(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		wreck func(*model.Run)
		gone  string
		cause string
	}{
		{"no watches", func(r *model.Run) { r.Watches = nil }, "24 packets", "upstream-blocks-guests"},
		{"the counter was not read before", func(r *model.Run) {
			watchOf(r, modeltest.LXDContainer, base).Before = nil
			watchOf(r, modeltest.QEMUBridge, base).Before = nil
		}, "24 packets", "upstream-blocks-guests"},
		{"the counter was set back", func(r *model.Run) {
			watchOf(r, modeltest.LXDContainer, base).Before[0].Packets = 99
			watchOf(r, modeltest.QEMUBridge, base).Before[0].Packets = 99
		}, "24 packets", "upstream-blocks-guests"},
		{"no look-ups", func(r *model.Run) {
			without(r, func(x model.Result) bool { return x.Probe == model.ProbeDNSA })
		}, "DNS works", "dns-blocked"},
		{"another resolver", func(r *model.Run) { factsOf(r, modeltest.LXDContainer).Resolvers = []string{"198.51.100.53"} }, "DNS works", ""},
		{"ip_forward unknown", func(r *model.Run) { factsOf(r, modeltest.Runner).IPForward = nil }, "", "ip-forward-off"},
		{"guest facts unknown", func(r *model.Run) { r.Facts = r.Facts[:1] }, "DNS works", "dhcp-blocked"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			run := modeltest.DockerForwardDrop()
			test.wreck(&run)
			d := diagnose.Diagnose(run)
			require.Equal(t, diagnose.CauseDockerForwardDrop, d.Cause)
			if test.gone != "" {
				require.NotContains(t, d.Summary, test.gone)
			}
			if test.cause != "" {
				require.NotContains(t, causes(d.RuledOut), test.cause)
			}
			requireResolved(t, run, d)
		})
	}
}

func TestNoRemedyForAnUnknownBridge(t *testing.T) {
	t.Parallel()
	run := modeltest.DockerForwardDrop()
	run.Facts = run.Facts[:1]
	h := diagnose.Hypotheses(run)
	require.Len(t, h, 1)
	require.Nil(t, h[0].Intervention)
	require.Nil(t, diagnose.Diagnose(run).Remedy)
}

func TestAPassOverIPv6DoesNotSpeakAgainstALossOfIPv4(t *testing.T) {
	t.Parallel()
	run := modeltest.DockerForwardDrop()
	each(&run, first(at(model.RoundBaseline, modeltest.Bridged()...)), func(r *model.Result) {
		passes(r)
		r.Detail.Dials = []model.Dial{{Address: "[2001:db8::10]:443"}, {Address: "198.51.100.10:443", Reason: model.ConnectTimeout}}
	})
	require.Equal(t, diagnose.CauseDockerForwardDrop, diagnose.Diagnose(run).Cause)
}

func TestConsequencesAreSetAside(t *testing.T) {
	t.Parallel()
	run := modeltest.Proven()
	apt := func(p model.Place, round string, o model.Outcome) {
		r := model.Result{Place: p, Round: round, Probe: model.ProbeAptUpdate, Target: "http://archive.lab.test/", Attempt: 1, Outcome: o}
		if o == model.Fail {
			r.Reason = model.PackageManager
		}
		run.Results = append(run.Results, r)
	}
	apt(modeltest.Runner, model.RoundBaseline, model.Pass)
	apt(modeltest.LXDContainer, model.RoundBaseline, model.Fail)
	d := diagnose.Diagnose(run)
	require.Equal(t, model.Proven, d.Confidence)
	require.NotContains(t, d.Summary, "Not explained")
	require.Contains(t, d.Evidence[len(d.Evidence)-1].Text, "apt-update")

	apt(modeltest.LXDContainer, model.RoundIntervened, model.Fail)
	d = diagnose.Diagnose(run)
	require.Equal(t, model.Proven, d.Confidence)
	require.Contains(t, d.Summary, "Not explained by this: in lxd-container 1 fails with package-manager (apt-update).")
}

func TestWhatFailsOnTheRunnerTooIsNoConsequence(t *testing.T) {
	t.Parallel()
	run := modeltest.DockerForwardDrop()
	for _, p := range []model.Place{modeltest.Runner, modeltest.LXDContainer} {
		run.Results = append(run.Results, model.Result{Place: p, Round: model.RoundBaseline, Probe: model.ProbeAptUpdate, Target: "apt",
			Attempt: 1, Outcome: model.Fail, Reason: model.PackageManager})
	}
	require.Contains(t, diagnose.Diagnose(run).Summary, "Not explained by this: in runner 1 fails with package-manager (apt-update); "+
		"in lxd-container 1 fails with package-manager (apt-update).")
}

func TestTwoBridgesAreTwoFindings(t *testing.T) {
	t.Parallel()
	run := modeltest.DockerForwardDrop()
	runner := factsOf(&run, modeltest.Runner)
	runner.Interfaces = append(runner.Interfaces, model.Interface{Name: "br1", Type: "bridge", Addresses: []string{"10.78.0.1/24"}})
	guest := factsOf(&run, modeltest.QEMUBridge)
	guest.Interfaces[1].Addresses, guest.Routes[0].Gateway = []string{"10.78.0.9/24"}, "10.78.0.1"
	h, more := diagnose.Next(run, nil)
	require.True(t, more)
	require.Equal(t, []model.Place{modeltest.LXDContainer}, h.Intervention.Places)
	require.Equal(t, model.RoundIntervened, h.Intervention.Intervened)
	run.Interventions = append(run.Interventions, h.Intervention.Intervention)
	one := diagnose.Judge(h, run)

	h, more = diagnose.Next(run, []model.Finding{one})
	require.True(t, more)
	require.Equal(t, []model.Place{modeltest.QEMUBridge}, h.Intervention.Places)
	require.Equal(t, "intervened-2", h.Intervention.Intervened)
	require.Equal(t, "reverted-2", h.Intervention.Reverted)
	two := diagnose.Judge(h, run)

	_, more = diagnose.Next(run, []model.Finding{one, two})
	require.False(t, more)
	d := diagnose.Conclude(run, []model.Finding{one, two})
	require.Equal(t, "br1", d.Further[0].Remedy.Parameters["bridge"])
	require.NotContains(t, d.Summary, "Not explained")
}

func TestAGuestOnAnotherBridgeIsNoContradiction(t *testing.T) {
	t.Parallel()
	run := modeltest.DockerForwardDrop()
	runner := factsOf(&run, modeltest.Runner)
	runner.Interfaces = append(runner.Interfaces, model.Interface{Name: "br1", Type: "bridge", Addresses: []string{"10.78.0.1/24"}})
	guest := factsOf(&run, modeltest.QEMUBridge)
	guest.Interfaces[1].Addresses, guest.Routes[0].Gateway = []string{"10.78.0.9/24"}, "10.78.0.1"
	each(&run, at(model.RoundBaseline, modeltest.QEMUBridge), passes)
	d := diagnose.Diagnose(run)
	require.Equal(t, diagnose.CauseDockerForwardDrop, d.Cause)
	require.Equal(t, []string{"lxd-container"}, d.Environments)
}

func TestUndeterminedSaysWhereAndHow(t *testing.T) {
	t.Parallel()
	run := modeltest.Healthy()
	each(&run, at(model.RoundBaseline, modeltest.QEMUUser), fails(model.Refused))
	d := diagnose.Diagnose(run)
	require.Equal(t, model.Undetermined, d.Verdict)
	require.Equal(t, model.Unsure, d.Confidence)
	require.Equal(t, "Something failed, and no known cause fits: in qemu-user 3 fail with refused (tcp-connect, http and https).", d.Summary)
	require.Equal(t, []string{"qemu-user"}, d.Environments)
}

func TestARetryThatHealedIsHealthy(t *testing.T) {
	t.Parallel()
	run := modeltest.Healthy()
	again := run.Results[1]
	again.Attempt = 2
	run.Results[1].Outcome, run.Results[1].Reason = model.Fail, model.ServerError
	run.Results = append(run.Results, again)
	require.Equal(t, model.Healthy, diagnose.Diagnose(run).Verdict)
}

func TestResolve(t *testing.T) {
	t.Parallel()
	run := modeltest.Proven()
	for _, ref := range []string{
		run.Results[0].Ref(), run.Watches[0].Ref(), "facts/runner/forward", "facts/dind/distro/runtime/docker", "facts/runner/ip_forward",
	} {
		require.True(t, modeltest.Resolve(run, ref), ref)
	}
	for _, ref := range []string{
		"", "results", "results/runner", "results/moon/baseline/http/x#1", "watches/moon/baseline", "facts/runner/colour",
		"facts/qemu-user/docker", "facts/qemu-user/forward", "facts/moon/forward", "facts/dind/docker", run.Results[0].Ref() + "1",
	} {
		require.False(t, modeltest.Resolve(run, ref), ref)
	}
}
