// Package modeltest builds runs for tests: the experiment of the simulated
// runner, with figures as they were measured there. Only tests import it.
package modeltest

import (
	"time"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/remedy/catalogue"
)

// Start is when the runs begin.
var Start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// ID is the identity of the runs.
const ID = "6f9619ff-8b86-4011-b42d-00c04fc964ff"

// The places of the runs.
var (
	Runner       = model.Place{Environment: model.EnvRunner}
	DindBuild    = model.Place{Environment: model.EnvDind, Setup: "distro/build-time"}
	DindRun      = model.Place{Environment: model.EnvDind, Setup: "distro/runtime"}
	LXDContainer = model.Place{Environment: model.EnvLXDContainer}
	QEMUBridge   = model.Place{Environment: model.EnvQEMUBridge}
	QEMUUser     = model.Place{Environment: model.EnvQEMUUser}
)

// Bridged are the places whose packets the runner forwards from lxdbr0.
func Bridged() []model.Place { return []model.Place{LXDContainer, QEMUBridge} }

// TCPLike are the probes that make a TCP connection, with their targets.
func TCPLike() [][2]string {
	return [][2]string{
		{model.ProbeTCP, "198.51.100.10:443"},
		{model.ProbeHTTP, "http://archive.lab.test/"},
		{model.ProbeHTTPS, "https://registry.lab.test/"},
	}
}

// Healthy is a run in which LXD started first: all but ICMP works.
func Healthy() model.Run {
	run := model.Run{
		Schema: model.Schema, ID: ID, Version: "v0.1.0", Start: Start,
		Plan: model.Plan{
			Command: "simulate", Internet: "simulated", Targets: "lab", Platform: "simulated",
			Order: "lxd-first", Intervene: true,
		},
		Setups: timings(),
	}
	for i, p := range []model.Place{Runner, DindBuild, DindRun, LXDContainer, QEMUBridge, QEMUUser} {
		run.Plan.Items = append(run.Plan.Items, model.PlanItem{Place: p, Suites: []string{"network"}})
		run.Facts = append(run.Facts, facts(p, i))
		run.Results = append(run.Results, Probes(p, model.RoundBaseline, false)...)
		run.Watches = append(run.Watches, Watch(p, model.RoundBaseline, "ACCEPT", 0, 0))
	}
	return run
}

// DockerForwardDrop is a run in which Docker started first: the FORWARD policy
// is DROP, and what the runner forwards from lxdbr0 is lost. No intervention.
func DockerForwardDrop() model.Run {
	run := Healthy()
	run.Plan.Order = "docker-first"
	run.Facts[0].Forward = chains("DROP", 0)
	counter := uint64(0)
	for i := range run.Watches {
		rise := uint64(0)
		if bridged(run.Watches[i].Place) {
			rise = 12
		}
		run.Watches[i] = Watch(run.Watches[i].Place, model.RoundBaseline, "DROP", counter, counter+rise)
		counter += rise
	}
	var results []model.Result
	for _, item := range run.Plan.Items {
		results = append(results, Probes(item.Place, model.RoundBaseline, bridged(item.Place))...)
	}
	run.Results = results
	return run
}

// Proven is DockerForwardDrop with the intervention: with the remedy all is
// well, without it again nothing.
func Proven() model.Run {
	run := DockerForwardDrop()
	run.Interventions = []model.Intervention{{
		Cause: "docker-forward-drop", Intervened: model.RoundIntervened, Reverted: model.RoundReverted,
		Remedy: catalogue.Named(catalogue.DockerUserAccept, map[string]string{"bridge": "lxdbr0"}),
	}}
	counter := uint64(24)
	for _, p := range Bridged() {
		run.Results = append(run.Results, Probes(p, model.RoundIntervened, false)...)
		run.Watches = append(run.Watches, Watch(p, model.RoundIntervened, "DROP", counter, counter))
	}
	for _, p := range Bridged() {
		run.Results = append(run.Results, Probes(p, model.RoundReverted, true)...)
		run.Watches = append(run.Watches, Watch(p, model.RoundReverted, "DROP", counter, counter+12))
		counter += 12
	}
	return run
}

func bridged(p model.Place) bool { return p == LXDContainer || p == QEMUBridge }

// Probes are the results of one place in one round; dropped says that no packet
// of it is forwarded.
func Probes(p model.Place, round string, dropped bool) []model.Result {
	at := Start
	result := func(probe, target string, o model.Outcome, why model.Reason, ms int64) model.Result {
		at = at.Add(time.Second)
		return model.Result{
			Place: p, Round: round, Probe: probe, Target: target, Attempt: 1,
			Outcome: o, Reason: why, Start: at, DurationMS: ms,
		}
	}
	all := []model.Result{result(model.ProbeDNSA, "archive.lab.test", model.Pass, "", 4)}
	all[0].Detail.Values = map[string]string{"addresses": "198.51.100.10"}
	for _, t := range TCPLike() {
		r := result(t[0], t[1], model.Pass, "", 7)
		if dropped {
			r = result(t[0], t[1], model.Fail, model.ConnectTimeout, 3000)
			r.Detail.Message = "dial tcp 198.51.100.10: i/o timeout"
			r.Detail.Dials = []model.Dial{{Address: "198.51.100.10:443", Reason: model.ConnectTimeout, DurationMS: 3000}}
		}
		all = append(all, r)
	}
	return append(all, result(model.ProbeICMP, "archive.lab.test", model.XFail, model.NoReply, 2000))
}

// Watch is what the FORWARD policy counted while a place was probed.
func Watch(p model.Place, round, policy string, before, after uint64) model.Watch {
	return model.Watch{Place: p, Round: round, Before: chains(policy, before), After: chains(policy, after)}
}

func chains(policy string, packets uint64) []model.ForwardChain {
	return []model.ForwardChain{{
		Backend: "iptables-nft", Family: "ip", Table: "filter", Chain: "FORWARD",
		Policy: policy, Packets: packets, Bytes: packets * 60, DockerUser: true,
	}}
}

func timings() []model.Timing {
	timing := func(p model.Place, step string, ms int64) model.Timing {
		return model.Timing{Place: p, Step: step, Start: Start, DurationMS: ms}
	}
	return []model.Timing{
		timing(DindBuild, model.StepImageBuild, 31000), timing(DindBuild, model.StepStart, 410),
		timing(DindBuild, model.StepDaemonReady, 900), timing(DindBuild, model.StepFirstContainer, 1250),
		timing(DindBuild, model.StepTotal, 33560),
		timing(DindRun, model.StepStart, 400), timing(DindRun, model.StepInstall, 38400),
		timing(DindRun, model.StepDaemonReady, 950), timing(DindRun, model.StepFirstContainer, 1300),
		timing(DindRun, model.StepTotal, 41050),
	}
}
