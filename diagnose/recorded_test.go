package diagnose_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/diagnose"
	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/model/modeltest"
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
			"While lxd-container was probed, 54 packets fell to the policy DROP"},
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
		}, model.Healthy, "", "", "Nothing failed unexpectedly in 7 places."},
		{"dind at run time", "dind-runtime.jsonl", func(*model.Run) {}, model.Healthy, "", "", "Nothing failed unexpectedly in 2 places."},
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
		d.Evidence[len(d.Evidence)-1].Says)
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
		if name != "docker-first" && name != "dind-runtime" {
			names = append(names, name)
		}
	}
	require.GreaterOrEqual(t, len(names), 4)
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
			require.Empty(t, run.Plan.Faults, "a diagnosis must not be told")
			d := diagnose.Diagnose(run)
			require.Equal(t, name, d.Cause, d.Summary)
			require.Empty(t, d.Further, d.Summary)
			require.NotContains(t, d.Summary, "Not explained")
			for _, h := range diagnose.Hypotheses(run) {
				require.Equal(t, h.Finding.Cause == name, h.Stands(), "%s: %+v", h.Finding.Cause, h.Contradictions)
			}
			requireResolved(t, run, d)
			requireKnownRemedy(t, d.Remedy)
		})
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

	docker := diagnose.Diagnose(modeltestWithHops())
	require.Equal(t, diagnose.CauseDockerForwardDrop, docker.Cause)
	require.Contains(t, docker.Summary, "Of 18 TCP openings that reached the runner none left on its uplink eth0.")
	require.Contains(t, whyNot(t, docker, diagnose.CauseUpstreamBlocks), "before they could reach the uplink")

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

// modeltestWithHops is the built run with what the interfaces saw.
func modeltestWithHops() model.Run {
	run := modeltest.DockerForwardDrop()
	for i, w := range run.Watches {
		if slices.Contains(modeltest.Bridged(), w.Place) {
			run.Watches[i].Hops = hop(9, 0, 0, 0)
		}
	}
	return run
}

func evidenceText(d model.Diagnosis) string {
	var all []string
	for _, e := range d.Evidence {
		all = append(all, e.Says)
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
