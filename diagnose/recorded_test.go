package diagnose_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/diagnose"
	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/remedy/catalogue"
	"github.com/nestlab/nestlab/report"
)

// recorded reads a journal that nestlab wrote.
func recorded(t *testing.T, name string) model.Run {
	t.Helper()
	file, err := os.Open(filepath.Join("testdata", name))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, file.Close()) })
	run, err := report.Fold(file)
	require.NoError(t, err)
	require.Empty(t, run.Notes)
	return run
}

func TestRecordedRuns(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, file string
		change     func(*model.Run)
		verdict    model.Verdict
		cause      string
		confidence model.Confidence
		says       string
	}{
		{"docker first", "docker-first.jsonl", func(*model.Run) {}, model.CauseFound, "docker-forward-drop", model.Proven,
			"While lxd-container was probed, 54 packets were dropped by the runner's FORWARD chain"},
		{"all environments", "whole-run.jsonl", func(*model.Run) {}, model.CauseFound, "docker-forward-drop", model.Proven,
			"87 packets were dropped by the runner's FORWARD chain (policy DROP, set by Docker). " +
				"None of the 81 TCP SYNs that reached the runner left on its uplink eth0. 14 connections"},
		{"docker first, nothing changed", "docker-first.jsonl", func(r *model.Run) {
			without(r, func(x model.Result) bool { return x.Round != model.RoundBaseline })
			r.Interventions = nil
		}, model.CauseFound, "docker-forward-drop", model.Supported, "no intervention was made"},
		{"docker first, seen with the remedy alone", "docker-first.jsonl", func(r *model.Run) {
			without(r, func(x model.Result) bool {
				guest := x.Environment == model.EnvLXDContainer
				return guest && x.Round != model.RoundIntervened || x.Round == model.RoundReverted
			})
			for i := range r.Results {
				r.Results[i].Round = model.RoundBaseline
			}
		}, model.Healthy, "", "", "Nothing failed unexpectedly in 7 environments."},
		{"a network that is outside too, which answers are routed to", "subnet-overlap@routed.jsonl", func(*model.Run) {}, model.CauseFound, "subnet-overlap", model.Proven,
			"lxdbr0 and eth0 of the runner have networks that overlap"},
		{"nothing broken", "healthy.jsonl", func(*model.Run) {}, model.Healthy, "", "", "Nothing failed unexpectedly in 3 environments."},
		{"dind at run time", "dind-runtime.jsonl", func(*model.Run) {}, model.Healthy, "", "", "Nothing failed unexpectedly in 2 environments."},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			run := recorded(t, test.file)
			test.change(&run)
			d := diagnose.Diagnose(run)
			require.Equal(t, test.verdict, d.Verdict, d.Summary)
			require.Equal(t, test.cause, d.Cause)
			require.Equal(t, test.confidence, d.Confidence)
			require.Contains(t, d.Summary, test.says)
			require.NotContains(t, d.Summary, "Not explained")
			requireResolved(t, run, d)
		})
	}
}

// TestRecordedEvidence: what follows from the lost connections is set aside, and
// the probes that the network does not touch are not taken for evidence.
func TestRecordedEvidence(t *testing.T) {
	t.Parallel()
	run := recorded(t, "docker-first.jsonl")
	d := diagnose.Diagnose(run)
	require.Equal(t, []string{"lxd-container"}, d.Environments)
	require.Equal(t, "what needs these connections failed with them: path-mtu, apt-update and apt-install",
		d.Evidence[len(d.Evidence)-1].Text)
	require.False(t, slices.ContainsFunc(refsOf(d), func(ref string) bool { return strings.Contains(ref, "docker-run") }))
	require.Equal(t, 7, d.Proof.Rounds[0].Failed)
}

// broken are the recorded runs of a broken runner, by what was broken.
func broken(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/*.jsonl")
	require.NoError(t, err)
	var names []string
	for _, f := range files {
		name := strings.TrimSuffix(filepath.Base(f), ".jsonl")
		if strings.HasPrefix(name, "healthy@") {
			continue
		}
		if name != "docker-first" && name != "dind-runtime" && name != "whole-run" && name != "healthy" {
			names = append(names, name)
		}
	}
	require.GreaterOrEqual(t, len(names), 16)
	return names
}

// TestRecordedFaults: what was broken is found in what was recorded, and no other
// rule's hypothesis stands.
func TestRecordedFaults(t *testing.T) {
	t.Parallel()
	for _, name := range broken(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run := recorded(t, name+".jsonl")
			name, _, _ := strings.Cut(name, "@") // a release of Docker
			require.Empty(t, run.Plan.Faults, "a diagnosis must not be told")
			d := diagnose.Diagnose(run)
			require.Equal(t, name, d.Cause, d.Summary)
			for _, f := range d.Further {
				require.Equal(t, name, f.Cause, "the same on another bridge, and nothing else")
			}
			require.NotContains(t, d.Summary, "Not explained")
			if len(run.Interventions) > 0 {
				want := model.Proven
				if catalogue.GoesAround(d.Proof.Remedy) {
					want = model.Supported
				}
				require.Equal(t, want, d.Confidence, "its test was made")
			}
			for _, h := range diagnose.Hypotheses(run) {
				require.Equal(t, h.Finding.Cause == name, h.Stands(), "%s: %+v", h.Finding.Cause, h.Contradictions)
			}
			requireResolved(t, run, d)
			requireKnownRemedy(t, d.Remedy)
		})
	}
}

// TestWhatNoRuleKnows: a drop at a hook that nestlab does not read gets no name, and
// the hop at which packets were last seen is told.
func TestWhatNoRuleKnows(t *testing.T) {
	t.Parallel()
	for name, seen := range map[string]string{
		"raw-drop":        "connections were last seen in the environment itself: other packets of it came to lxdbr0, and none of them",
		"answers-dropped": "answers were last seen coming back on the uplink eth0, none reached lxdbr0",
	} {
		run := recorded(t, "unknown/"+name+".jsonl")
		d := diagnose.Diagnose(run)
		require.Equal(t, model.Undetermined, d.Verdict, "%s: %s", name, d.Summary)
		require.Empty(t, d.Cause)
		require.Empty(t, d.Further)
		require.Contains(t, d.Summary, "While lxd-container was probed, "+seen)
		requireResolved(t, run, d)
	}
}

// TestTheQuestion is the one that the predecessor got wrong: is it the network
// behind the runner that drops what comes from guests, or the runner itself? What
// separates the two is whether their packets were seen leaving on the uplink.
func TestTheQuestion(t *testing.T) {
	t.Parallel()
	upstream := diagnose.Diagnose(recorded(t, "upstream-blocks-guests.jsonl"))
	require.Equal(t, diagnose.CauseUpstreamBlocks, upstream.Cause)
	require.Contains(t, evidenceText(upstream), "left on the uplink eth0 with the runner's address, and none was answered")
	require.Contains(t, whyNot(t, upstream, diagnose.CauseDockerForwardDrop), "FORWARD chain")

	docker := diagnose.Diagnose(recorded(t, "docker-forward-drop.jsonl"))
	require.Equal(t, diagnose.CauseDockerForwardDrop, docker.Cause)
	require.Equal(t, model.Proven, docker.Confidence)
	require.Contains(t, docker.Summary, "None of the 51 TCP SYNs that reached the runner left on its uplink eth0.")
	require.Contains(t, whyNot(t, docker, diagnose.CauseUpstreamBlocks), "before the uplink")

	// The counters alone do not decide: the same hops with the policy at ACCEPT.
	for _, side := range []struct {
		hops  []model.Hop
		cause string
	}{{hop(9, 9, 0, 0), diagnose.CauseUpstreamBlocks}, {hop(9, 0, 0, 0), ""}} {
		d := diagnose.Diagnose(silent(side.hops))
		require.Equal(t, side.cause, d.Cause, d.Summary)
	}
	lost := diagnose.Diagnose(silent(hop(9, 0, 0, 0)))
	require.Equal(t, model.Undetermined, lost.Verdict)
	require.Contains(t, lost.Summary, "connections were last seen on lxdbr0, none left on the uplink eth0")
}

func evidenceText(d model.Diagnosis) string {
	var all []string
	for _, e := range d.Evidence {
		all = append(all, e.Text)
	}
	return strings.Join(all, "\n")
}

func whyNot(t *testing.T, d model.Diagnosis, cause string) string {
	t.Helper()
	for _, r := range d.RuledOut {
		if r.Cause == cause {
			return r.Why
		}
	}
	require.Fail(t, "not ruled out", cause)
	return ""
}

// TestTheFindingsAreMeasured: the figures of docs/findings.md are those of the
// recorded runs.
func TestTheFindingsAreMeasured(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../docs/findings.md")
	require.NoError(t, err)
	runs := []struct{ file, round string }{
		{"healthy.jsonl", base}, {"docker-forward-drop.jsonl", base}, {"docker-forward-drop.jsonl", with},
		{"upstream-blocks-guests.jsonl", base}, {"nat-off.jsonl", base},
	}
	rows := map[string]func(w model.Watch, bridge, uplink model.Hop) string{
		"TCP SYNs on lxdbr0": func(_ model.Watch, b, _ model.Hop) string { return fmt.Sprint(b.Place.SYN) },
		"DNS queries, answers on lxdbr0": func(_ model.Watch, b, _ model.Hop) string {
			return fmt.Sprintf("%d, %d", b.Place.DNSQueries, b.Place.DNSAnswers)
		},
		"TCP SYNs on eth0, runner's address": func(_ model.Watch, _, u model.Hop) string { return fmt.Sprint(u.Runner.SYN) },
		"TCP SYNs on eth0, guest's address":  func(_ model.Watch, _, u model.Hop) string { return fmt.Sprint(u.Place.SYN) },
		"answers on eth0":                    func(_ model.Watch, _, u model.Hop) string { return fmt.Sprint(u.Runner.SYNACK) },
	}
	for name, figure := range rows {
		line := ""
		for l := range strings.Lines(string(text)) {
			if strings.HasPrefix(l, "| "+name+" |") {
				line = strings.ReplaceAll(l, "*", "")
			}
		}
		cells := strings.Split(line, "|")
		require.Len(t, cells, 8, name)
		for i, r := range runs {
			run := recorded(t, r.file)
			w := *watchOf(&run, model.Place{Environment: model.EnvLXDContainer}, r.round)
			bridge, _ := w.Hop("lxdbr0")
			uplink, ok := w.Uplink()
			require.True(t, ok)
			require.Equal(t, figure(w, bridge, uplink), strings.TrimSpace(cells[i+2]), "%s in %s", name, r.file)
		}
	}
}
