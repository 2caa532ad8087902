package diagnose_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/diagnose"
	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/model/modeltest"
)

const dropRule = "-A FORWARD -i lxdbr0 -j DROP"

// firewalled is DockerForwardDrop, but the packets fall to a rule before they
// reach the policy.
func firewalled(chain string) model.Run {
	run := modeltest.DockerForwardDrop()
	set := func(chains []model.ForwardChain, dropped uint64) {
		chains[0].Packets = 0
		chains[0].Drops = []model.DropRule{{Chain: chain, Rule: dropRule, Packets: dropped}}
	}
	set(factsOf(&run, modeltest.Runner).Forward, 0)
	for i := range run.Watches {
		w := &run.Watches[i]
		rise := w.After[0].Packets - w.Before[0].Packets
		set(w.Before, 0)
		set(w.After, rise)
	}
	return run
}

func TestAFirewallRuleIsToldFromDockersPolicy(t *testing.T) {
	t.Parallel()
	for _, chain := range []string{"FORWARD", "DOCKER-USER"} {
		run := firewalled(chain)
		d := diagnose.Diagnose(run)
		require.Equal(t, diagnose.CauseFirewallForwardDrop, d.Cause)
		require.Equal(t, model.Supported, d.Confidence)
		require.Equal(t, map[string]string{"bridge": "lxdbr0", "table": "ip filter", "chain": chain}, d.Remedy.Parameters)
		require.Contains(t, d.Summary, `while lxd-container was probed, 12 packets were dropped by the rule "-A FORWARD -i lxdbr0 -j DROP" of chain `+chain)
		require.NotContains(t, d.Summary, "Not explained")
		require.Equal(t, []string{
			"docker-forward-drop", "upstream-blocks-guests", "dns-blocked", "runner-offline", "dhcp-blocked", "ip-forward-off",
		}, causes(d.RuledOut))
		require.Contains(t, d.RuledOut[0].Why, "stood still")
		require.Contains(t, d.RuledOut[1].Why, "24 packets were dropped")
		requireResolved(t, run, d)
	}
}

func TestFirewallRuleLetsGo(t *testing.T) {
	t.Parallel()
	for name, wreck := range map[string]func(*model.Run){
		"the rule matched nothing": func(r *model.Run) { watchOf(r, modeltest.QEMUBridge, base).After[0].Drops[0].Packets = 0 },
		"the rule is Docker's":     func(r *model.Run) { *r = firewalled("DOCKER-ISOLATION-STAGE-2") },
		"the rule is for IPv6": func(r *model.Run) {
			w := watchOf(r, modeltest.QEMUBridge, base)
			w.Before[0].Family, w.After[0].Family = "ip6", "ip6"
		},
		"the rule is new":            func(r *model.Run) { watchOf(r, modeltest.QEMUBridge, base).Before[0].Drops = nil },
		"nothing was counted":        func(r *model.Run) { r.Watches, factsOf(r, modeltest.Runner).Forward[0].Policy = nil, "ACCEPT" },
		"another guest gets answers": func(r *model.Run) { each(r, at(base, modeltest.QEMUBridge), passes) },
		"the runner fails as well":   func(r *model.Run) { each(r, at(base, modeltest.Runner), fails(model.Permission)) },
		"nothing is silent":          func(r *model.Run) { each(r, at(base, modeltest.Bridged()...), fails(model.Refused)) },
	} {
		run := firewalled("FORWARD")
		wreck(&run)
		d := diagnose.Diagnose(run)
		require.Equal(t, model.Undetermined, d.Verdict, "%s: %s", name, d.Summary)
		requireResolved(t, run, d)
	}
}

func TestAPolicyThatIsNotDockers(t *testing.T) {
	t.Parallel()
	run := modeltest.DockerForwardDrop()
	foreign := func(chains []model.ForwardChain) {
		chains[0].DockerUser, chains[0].Backend, chains[0].Family = false, "nftables", "inet"
		chains[0].Table, chains[0].Chain = "firewalld", "filter_FORWARD"
	}
	foreign(factsOf(&run, modeltest.Runner).Forward)
	for i := range run.Watches {
		foreign(run.Watches[i].Before)
		foreign(run.Watches[i].After)
	}
	d := diagnose.Diagnose(run)
	require.Equal(t, diagnose.CauseFirewallForwardDrop, d.Cause)
	require.Contains(t, d.Summary, "12 packets were dropped by the policy DROP of chain filter_FORWARD (nftables, table firewalld)")
	require.Equal(t, "docker-forward-drop", d.RuledOut[0].Cause)
}

// unforwarded is a run in which the runner forwards nothing.
func unforwarded() model.Run {
	run := modeltest.DockerForwardDrop()
	runner := factsOf(&run, modeltest.Runner)
	*runner.IPForward = false
	runner.Forward[0].Policy = "ACCEPT"
	for i := range run.Watches {
		p := run.Watches[i].Place
		run.Watches[i] = modeltest.Watch(p, model.RoundBaseline, "ACCEPT", 0, 0)
	}
	return run
}

func TestIPForwardOff(t *testing.T) {
	t.Parallel()
	run := unforwarded()
	d := diagnose.Diagnose(run)
	require.Equal(t, diagnose.CauseIPForwardOff, d.Cause)
	require.Equal(t, model.Supported, d.Confidence)
	require.Equal(t, []string{"sysctl -w net.ipv4.ip_forward=1"}, d.Remedy.Commands)
	require.Equal(t, "ip_forward is off on the runner, so that it forwards nothing for lxd-container and qemu-bridge. "+
		"Not proven: no intervention was made.", d.Summary)
	require.Equal(t, []string{"docker-forward-drop"}, causes(d.RuledOut))
	requireResolved(t, run, d)
}

func TestIPForwardOffLetsGo(t *testing.T) {
	t.Parallel()
	for name, wreck := range map[string]func(*model.Run){
		"it is on":        func(r *model.Run) { *factsOf(r, modeltest.Runner).IPForward = true },
		"it is not known": func(r *model.Run) { factsOf(r, modeltest.Runner).IPForward = nil },
		"packets got there": func(r *model.Run) {
			*watchOf(r, modeltest.QEMUBridge, base) = modeltest.Watch(modeltest.QEMUBridge, base, "DROP", 0, 1)
		},
		"a guest gets answers": func(r *model.Run) { each(r, at(base, modeltest.QEMUBridge), passes) },
	} {
		run := unforwarded()
		wreck(&run)
		d := diagnose.Diagnose(run)
		require.Equal(t, model.Undetermined, d.Verdict, "%s: %s", name, d.Summary)
		requireResolved(t, run, d)
	}
}

// TestEachRuleAlone: of the runs that one rule explains, no other explains any.
func TestEachRuleAlone(t *testing.T) {
	t.Parallel()
	for cause, run := range map[string]model.Run{
		diagnose.CauseDockerForwardDrop: modeltest.DockerForwardDrop(), diagnose.CauseFirewallForwardDrop: firewalled("FORWARD"),
		diagnose.CauseIPForwardOff: unforwarded(),
	} {
		for i, h := range diagnose.Hypotheses(run) {
			require.Equal(t, i == 0, h.Stands(), "%s is thought of where it is %s", h.Finding.Cause, cause)
			require.Equal(t, i == 0, h.Finding.Cause == cause)
		}
	}
	var names []string
	for _, r := range diagnose.Rules() {
		require.NotEmpty(t, r.About)
		require.NotContains(t, names, r.Cause)
		names = append(names, r.Cause)
	}
}
