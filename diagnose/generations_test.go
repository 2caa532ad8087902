package diagnose_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/diagnose"
	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/model/modeltest"
)

// generation is the runner's forward hook as one release of Docker leaves it.
type generation struct {
	version, firewall string
	chains            func(policy string, packets uint64) []model.ForwardChain
}

func filterForward(family, policy string, packets uint64, drops ...model.DropRule) model.ForwardChain {
	return model.ForwardChain{
		Backend: "iptables-nft", Family: family, Table: "filter", Chain: "FORWARD", Policy: policy, Packets: packets, DockerUser: true, Drops: drops,
	}
}

var isolation = model.DropRule{Chain: "DOCKER-ISOLATION-STAGE-2", Rule: "-A DOCKER-ISOLATION-STAGE-2 -o docker0 -j DROP"}

// generations are the releases that could be had, with what was read of each. 26.1
// has the rules of 20.10 to the letter. 28.5 drops unpublished ports in DOCKER (and
// those of each container in the raw table, on another hook), and has its chains
// for ip6 as well, whose policy it sets to DROP when it turns that forwarding on:
// as soon as a network of its own has IPv6.
func generations() []generation {
	return []generation{
		{"20.10.24", "iptables", func(p string, n uint64) []model.ForwardChain {
			return []model.ForwardChain{filterForward("ip", p, n, isolation)}
		}},
		{"26.1.5", "iptables", func(p string, n uint64) []model.ForwardChain {
			return []model.ForwardChain{filterForward("ip", p, n, isolation)}
		}},
		{"28.5.2", "iptables", func(p string, n uint64) []model.ForwardChain {
			unpublished := model.DropRule{Chain: "DOCKER", Rule: "-A DOCKER ! -i docker0 -o docker0 -j DROP", Packets: n}
			return []model.ForwardChain{filterForward("ip", p, n, isolation, unpublished), filterForward("ip6", "ACCEPT", 0)}
		}},
		// The same with a network of its own that has IPv6.
		{"28.5.2", "iptables", func(p string, n uint64) []model.ForwardChain {
			unpublished := model.DropRule{Chain: "DOCKER", Rule: "-A DOCKER ! -i docker0 -o docker0 -j DROP", Packets: n}
			return []model.ForwardChain{filterForward("ip", p, n, isolation, unpublished), filterForward("ip6", p, 0, isolation)}
		}},
	}
}

// nftables is Docker 29's nftables backend: such a daemon could not be had. The
// rules of its documentation were given to a kernel, and this is what facts read of them. It neither turns forwarding on nor sets a policy;
// what it drops are ports that were not published.
func nftables(_ string, n uint64) []model.ForwardChain {
	return []model.ForwardChain{{
		Backend: "nftables", Family: "ip", Table: "docker-bridges", Chain: "filter-FORWARD", Policy: "ACCEPT",
		Drops: []model.DropRule{{Chain: "filter-forward-in__docker0", Rule: "counter drop", Packets: n}},
	}}
}

// installed puts a generation's chains into a run.
func installed(run model.Run, g generation) model.Run {
	runner := factsOf(&run, modeltest.Runner)
	runner.Docker = &model.DockerFacts{Version: g.version, Firewall: g.firewall}
	runner.Forward = g.chains(runner.Forward[0].Policy, 0)
	for i := range run.Watches {
		w := &run.Watches[i]
		w.Before = g.chains(w.Before[0].Policy, w.Before[0].Packets)
		w.After = g.chains(w.After[0].Policy, w.After[0].Packets)
	}
	return run
}

func TestGenerationsOfDocker(t *testing.T) {
	t.Parallel()
	for _, g := range generations() {
		t.Run(g.version, func(t *testing.T) {
			t.Parallel()
			d := diagnose.Diagnose(installed(modeltest.Proven(), g))
			require.Equal(t, diagnose.CauseDockerForwardDrop, d.Cause, d.Summary)
			require.Equal(t, model.Proven, d.Confidence)
			require.Empty(t, d.Further, "what Docker's own rules drop is no firewall's")
			require.Contains(t, evidenceText(d), "dockerd "+g.version)
			require.Equal(t, model.Healthy, diagnose.Diagnose(installed(modeltest.Healthy(), g)).Verdict)
		})
	}
}

// TestDockersOwnDropsAreNoFirewalls: the rules that Docker writes count what somebody
// sends to a port that was not published, also while a guest gets no answers.
func TestDockersOwnDropsAreNoFirewalls(t *testing.T) {
	t.Parallel()
	for _, g := range generations() {
		for _, h := range diagnose.Hypotheses(installed(modeltest.Proven(), g)) {
			require.Equal(t, h.Finding.Cause == diagnose.CauseDockerForwardDrop, h.Stands(), "%s: %s", g.version, h.Finding.Cause)
		}
		run := installed(modeltest.DockerForwardDrop(), g)
		accept := func(chains []model.ForwardChain) {
			for i := range chains {
				chains[i].Policy, chains[i].Packets = "ACCEPT", 0
			}
		}
		accept(factsOf(&run, modeltest.Runner).Forward)
		for i := range run.Watches {
			accept(run.Watches[i].Before)
			accept(run.Watches[i].After)
		}
		d := diagnose.Diagnose(run)
		require.Equal(t, model.Undetermined, d.Verdict, "%s: %s", g.version, d.Summary)
	}
}

func TestTheNFTablesBackend(t *testing.T) {
	t.Parallel()
	g := generation{"29.4.0", "nftables", nftables}
	require.Equal(t, model.Healthy, diagnose.Diagnose(installed(modeltest.Healthy(), g)).Verdict)

	// Its drops of unpublished ports are not what guests of another bridge fall to.
	run := installed(modeltest.DockerForwardDrop(), g)
	d := diagnose.Diagnose(run)
	require.Equal(t, model.Undetermined, d.Verdict, d.Summary)

	// It does not turn forwarding on: that is then the cause.
	off := false
	factsOf(&run, modeltest.Runner).IPForward = &off
	require.Equal(t, diagnose.CauseIPForwardOff, diagnose.Diagnose(run).Cause)

	// An administrator's table beside it.
	run = installed(modeltest.DockerForwardDrop(), g)
	site := func(n uint64) model.ForwardChain {
		return model.ForwardChain{Backend: "nftables", Family: "inet", Table: "site", Chain: "forward", Policy: "ACCEPT",
			Drops: []model.DropRule{{Chain: "forward", Rule: `oifname "eth0" counter drop`, Packets: n}}}
	}
	for i := range run.Watches {
		if slices.Contains(modeltest.Bridged(), run.Watches[i].Place) {
			run.Watches[i].Before = append(run.Watches[i].Before, site(0))
			run.Watches[i].After = append(run.Watches[i].After, site(12))
		}
	}
	d = diagnose.Diagnose(run)
	require.Equal(t, diagnose.CauseFirewallForwardDrop, d.Cause)
	require.Equal(t, "inet site", d.Remedy.Parameters["table"])
}

// TestRecordedGenerations: what real daemons of later releases left on a runner is
// read as theirs, is found and was proven, and does no harm where LXD came first.
func TestRecordedGenerations(t *testing.T) {
	t.Parallel()
	for release, want := range map[string]struct {
		version string
		drops   []string
		v6      bool
	}{
		"26": {"26.1.5+dfsg1", []string{"-A DOCKER-ISOLATION-STAGE-2 -o docker0 -j DROP"}, false},
		"28": {"28.5.2+dfsg4", []string{
			"-A DOCKER-ISOLATION-STAGE-2 -o docker0 -j DROP", "-A DOCKER ! -i docker0 -o docker0 -j DROP",
		}, true},
	} {
		t.Run(release, func(t *testing.T) {
			t.Parallel()
			run := recorded(t, "docker-forward-drop@"+release+".jsonl")
			runner := factsOf(&run, modeltest.Runner)
			require.Equal(t, want.version, runner.Docker.Version)
			require.Equal(t, "iptables", runner.Docker.Firewall)
			policies, drops := map[string]string{}, []string{}
			for _, c := range runner.Forward {
				if !c.DockerUser {
					continue
				}
				policies[c.Family] = c.Policy
				for _, d := range c.Drops {
					drops = append(drops, d.Rule)
				}
			}
			require.Equal(t, "DROP", policies["ip"])
			require.Equal(t, want.drops, drops)
			_, v6 := policies["ip6"]
			require.Equal(t, want.v6, v6)
			d := diagnose.Diagnose(run)
			require.Equal(t, diagnose.CauseDockerForwardDrop, d.Cause, d.Summary)
			require.Equal(t, model.Proven, d.Confidence)
			require.Contains(t, evidenceText(d), "dockerd "+want.version)
			require.Equal(t, model.Healthy, diagnose.Diagnose(recorded(t, "healthy@"+release+".jsonl")).Verdict)
		})
	}
}
