package diagnose_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/diagnose"
	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/model/modeltest"
)

// overlapping is a run whose LXD bridge has the network of the servers.
func overlapping() model.Run {
	run := in(modeltest.Bridged(), onTCP(func(r *model.Result) {
		fails(model.Unreachable)(r)
		r.Detail.Dials = []model.Dial{{Address: "198.51.100.10:443", Reason: model.Unreachable}}
	}))
	runner := factsOf(&run, modeltest.Runner)
	runner.Interfaces[3].Addresses = []string{"198.51.100.254/24"}
	for _, p := range modeltest.Bridged() {
		f := factsOf(&run, p)
		f.Interfaces[1].Addresses, f.Routes[0].Gateway, f.Resolvers = []string{"198.51.100.90/24"}, "198.51.100.254", []string{"198.51.100.254"}
	}
	return run
}

// tunnelled gives the runner a tunnel with a network that LXD's bridge is a part of.
func tunnelled(run *model.Run) {
	runner := factsOf(run, modeltest.Runner)
	runner.Interfaces = append(runner.Interfaces, model.Interface{Name: "tun0", Type: "tun", Up: true, Addresses: []string{"10.8.0.2/8"}})
}

// TestATunnelBesideABrokenRunner: that two networks overlap explains nothing of what
// has its target elsewhere.
func TestATunnelBesideABrokenRunner(t *testing.T) {
	t.Parallel()
	for file, cause := range map[string]string{
		"docker-first.jsonl": diagnose.CauseDockerForwardDrop, "nat-off.jsonl": diagnose.CauseNATOff,
		"upstream-blocks-guests.jsonl": diagnose.CauseUpstreamBlocks, "dns-blocked.jsonl": diagnose.CauseDNSBlocked,
		"unknown/raw-drop.jsonl": "", "unknown/answers-dropped.jsonl": "",
	} {
		run := recorded(t, file)
		without(&run, func(r model.Result) bool { return r.Round != base })
		run.Interventions = nil
		tunnelled(&run)
		d := diagnose.Diagnose(run)
		require.Equal(t, cause, d.Cause, "%s: %s", file, d.Summary)
		for _, f := range d.Further {
			require.Equal(t, cause, f.Cause, "%s: on another bridge, and nothing else: %s", file, d.Summary)
		}
		requireResolved(t, run, d)
	}
	run := recorded(t, "healthy.jsonl")
	tunnelled(&run)
	require.Equal(t, model.Healthy, diagnose.Diagnose(run).Verdict)
}

// TestATargetInTheTunnel: what is dialled is on the bridge by its address, so that it
// does not get as far as the tunnel. Another bridge that overlaps too is not in its way.
func TestATargetInTheTunnel(t *testing.T) {
	t.Parallel()
	run := full()
	tunnelled(&run)
	runner := factsOf(&run, modeltest.Runner)
	runner.Interfaces[2].Addresses = []string{"10.70.0.1/24"}
	runner.Interfaces[len(runner.Interfaces)-1].Addresses = []string{"10.64.0.2/10"}
	dialled := model.Detail{Dials: []model.Dial{{Address: "10.77.0.200:443", Reason: model.ConnectTimeout}}}
	run.Results = append(run.Results, []model.Result{
		{Place: modeltest.Runner, Round: base, Probe: model.ProbeTCP, Target: "intranet.lab.test:443", Attempt: 1, Outcome: model.Pass},
		{Place: modeltest.LXDContainer, Round: base, Probe: model.ProbeTCP, Target: "intranet.lab.test:443", Attempt: 1,
			Outcome: model.Fail, Reason: model.ConnectTimeout, Detail: dialled},
	}...)
	d := diagnose.Diagnose(run)
	require.Equal(t, diagnose.CauseSubnetOverlap, d.Cause, d.Summary)
	require.Equal(t, "lxdbr0", d.Remedy.Parameters["bridge"])
	requireResolved(t, run, d)
}

// TestBehindAnOverlap: what is hidden by the bridge's network is tested with another
// one in place, which the runner's facts do not show.
func TestBehindAnOverlap(t *testing.T) {
	t.Parallel()
	run := recorded(t, "pairs/docker-first+subnet-overlap.jsonl")
	var findings []model.Finding
	for h, more := diagnose.Next(run, nil); more; h, more = diagnose.Next(run, findings) {
		if h.Finding.Cause == diagnose.CauseDockerForwardDrop {
			require.NotNil(t, h.Intervention)
			require.Equal(t, "lxdbr0", h.Intervention.Remedy.Parameters["bridge"])
			require.Len(t, h.Intervention.Under, 1)
			require.Equal(t, "bridge-subnet", h.Intervention.Under[0].Name)
			return
		}
		findings = append(findings, diagnose.Judge(h, run))
	}
	require.Fail(t, "nothing was found behind the overlap")
}
