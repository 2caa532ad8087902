package modeltest

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/nestlab/nestlab/model"
)

// Random is a run that could have been: any outcome at any place in any round,
// with facts and watches that need not fit them. The same seed gives the same run.
func Random(seed uint64) model.Run {
	g := generator{rand.New(rand.NewPCG(seed, 17))}
	run := []func() model.Run{Healthy, DockerForwardDrop, Proven}[g.IntN(3)]()
	for i := range run.Facts {
		g.facts(&run.Facts[i])
	}
	run.Facts = drop(g, run.Facts)
	run.Watches = drop(g, run.Watches)
	for i := range run.Watches {
		if g.one(3) {
			run.Watches[i].Hops = []model.Hop{
				{Interface: "eth0", Role: model.RoleUplink, Place: g.flow(), Runner: g.flow()},
				{Interface: "lxdbr0", Role: model.RoleBridge, Place: g.flow(), Runner: g.flow()},
			}
		}
	}
	for i := range run.Results {
		g.result(&run.Results[i])
	}
	run.Results = drop(g, run.Results)
	for _, w := range run.Watches {
		if g.one(3) {
			run.Inspections = append(run.Inspections, model.Inspection{
				Place: w.Place, Round: w.Round, Taken: run.Start, Probe: model.ProbeTCP, Target: g.text(),
				Neighbours: []model.Neighbour{{Address: "10.77.0.1", Device: "eth0", State: g.pick("reachable", "failed")}},
				Dockerd:    []string{g.text()},
				NICs:       []model.NIC{{Interface: "eth0", Flow: g.flow()}},
			})
		}
	}
	if g.one(4) {
		run.Daemons = append(run.Daemons, model.Daemon{Place: Runner, Program: "dockerd", State: model.DaemonExited, ExitCode: 1, Log: []string{g.text()}})
	}
	for range g.IntN(4) {
		run.Notes = append(run.Notes, g.text())
	}
	for _, w := range run.Watches {
		if g.one(3) {
			run.GuestNotes = append(run.GuestNotes, model.GuestNote{Place: w.Place, Note: g.text()})
		}
	}
	if g.one(4) {
		run.Plan.Items[g.IntN(len(run.Plan.Items))].Skip = g.text()
	}
	if g.one(4) {
		remedy := model.Remedy{Name: "docker-user-accept", Parameters: map[string]string{"bridge": "lxdbr0"}, Commands: []string{}}
		run.Interventions = append(run.Interventions, model.Intervention{
			Cause: g.pick("docker-forward-drop", "other"), Remedy: remedy,
			Intervened: model.RoundIntervened, Reverted: g.pick(model.Rounds()...),
		})
	}
	return run
}

type generator struct{ *rand.Rand }

// one is true once in n times.
func (g generator) one(n int) bool { return g.IntN(n) == 0 }

func (g generator) pick(from ...string) string { return from[g.IntN(len(from))] }

// text may be hostile: marks, markup, escape sequences, other alphabets.
func (g generator) text() string {
	return g.pick("plain", "a | b", "`code`", "<img src=x>", "line\nbreak", "\x1b[31mred", "日本語", "\u202eback", "[x](http://evil.test)", "@team #1")
}

func (g generator) flow() model.Flow {
	n := func() uint64 { return g.Uint64N(3) }
	f := model.Flow{SYN: n(), SYNACK: n(), Resets: n(), DNSQueries: n(), DNSAnswers: n(), EchoRequests: n(), EchoReplies: n()}
	f.Out, f.Back = f.SYN+f.DNSQueries+f.EchoRequests, f.SYNACK+f.Resets+f.DNSAnswers+f.EchoReplies
	return f
}

func drop[T any](g generator, in []T) []T {
	if g.one(2) {
		return in
	}
	var out []T
	for _, v := range in {
		if !g.one(8) {
			out = append(out, v)
		}
	}
	return out
}

func (g generator) facts(f *model.Facts) {
	if g.one(6) {
		f.Interfaces = nil
	}
	if g.one(6) {
		f.Routes = nil
	}
	if g.one(6) {
		f.Docker = nil
	}
	if g.one(6) {
		f.IPForward = new(bool)
	}
	if len(f.Forward) > 0 && g.one(3) {
		f.Forward[0].Policy = g.pick("ACCEPT", "DROP", "")
		f.Forward[0].DockerUser = g.one(2)
	}
	if g.one(10) {
		f.Errors = append(f.Errors, g.text())
	}
}

func (g generator) result(r *model.Result) {
	if g.one(8) {
		outcomes := model.Outcomes()
		r.Outcome = outcomes[g.IntN(len(outcomes))]
		reasons := model.Reasons()
		if r.Reason = ""; r.Outcome != model.Pass {
			r.Reason = reasons[g.IntN(len(reasons))]
		}
	}
	if g.one(20) {
		r.Detail.Message, r.Target = g.text(), g.text()
	}
	if g.one(20) {
		r.Detail.Dials = []model.Dial{{Address: g.pick("198.51.100.10:80", "[2001:db8::1]:80", "10.77.0.1:80", "x")}}
	}
	r.Attempt = 1 + g.IntN(2)
	r.Start = r.Start.Add(time.Duration(g.IntN(1000)) * time.Millisecond)
	if g.one(30) {
		r.Detail.Values = map[string]string{"n": fmt.Sprint(g.IntN(9))}
	}
}
