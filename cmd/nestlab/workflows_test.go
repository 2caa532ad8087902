package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/nestlab/nestlab/diagnose"
	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/report"
	"github.com/nestlab/nestlab/spec"
)

// workflow is what these tests read of a workflow's file.
type workflow struct {
	Permissions map[string]string
	Jobs        map[string]struct {
		Uses    string
		Timeout int `yaml:"timeout-minutes"`
		With    struct{ Environment, Phase, Scenario, Predicts string }
		Steps   []struct {
			Uses string
			With map[string]any
		}
	}
}

func workflows(t *testing.T) map[string]workflow {
	t.Helper()
	files, err := filepath.Glob("../../.github/workflows/*.yml")
	require.NoError(t, err)
	all := map[string]workflow{}
	for _, f := range files {
		text, err := os.ReadFile(f)
		require.NoError(t, err)
		var w workflow
		require.NoError(t, yaml.Unmarshal(text, &w), f)
		all[strings.TrimSuffix(filepath.Base(f), ".yml")] = w
	}
	return all
}

var pinned = regexp.MustCompile(`^(\./.*|[\w.-]+/[\w./-]+@[0-9a-f]{40})$`)

// A workflow reads the repository alone, ends some time, keeps no token, and uses what was looked at.
func TestWorkflowsAreCareful(t *testing.T) {
	t.Parallel()
	for name, w := range workflows(t) {
		require.Equal(t, map[string]string{"contents": "read"}, w.Permissions, name)
		for _, job := range w.Jobs {
			if job.Uses != "" {
				require.Regexp(t, pinned, job.Uses, name)
				continue
			}
			require.Positive(t, job.Timeout, name)
			for _, s := range job.Steps {
				if s.Uses == "" {
					continue
				}
				require.Regexp(t, pinned, s.Uses, name)
				if strings.HasPrefix(s.Uses, "actions/checkout@") {
					require.Equal(t, false, s.With["persist-credentials"], name)
				}
			}
		}
	}
}

// recorded is a run of the simulated runner, changed; its diagnosis is made again.
func recorded(t *testing.T, name string, change func(*model.Run)) model.Run {
	t.Helper()
	f, err := os.Open("../../diagnose/testdata/" + name + ".jsonl")
	require.NoError(t, err)
	defer func() { require.NoError(t, f.Close()) }()
	run, err := report.Read(f)
	require.NoError(t, err)
	if change != nil {
		change(&run)
	}
	run.Diagnosis = diagnose.Diagnose(run)
	return run
}

// holds reports whether a prediction holds of a run, as the workflow finds out.
func holds(t *testing.T, prediction string, run model.Run) bool {
	t.Helper()
	var text bytes.Buffer
	require.NoError(t, report.Encode(&text, run))
	cmd := exec.CommandContext(t.Context(), "jq", "--exit-status", prediction)
	cmd.Stdin = &text
	out, err := cmd.CombinedOutput()
	require.Contains(t, []string{"true", "false"}, strings.TrimSpace(string(out)), "%v", err)
	return err == nil
}

// answered has the runner's pings answered.
func answered(run *model.Run) {
	for i, r := range run.Results {
		if r.Probe == model.ProbeICMP && r.Environment == model.EnvRunner {
			run.Results[i].Outcome, run.Results[i].Reason = model.XPass, ""
		}
	}
}

// everyPlace changes every place of a run.
func everyPlace(change func(*model.Place)) func(*model.Run) {
	return func(run *model.Run) {
		for i := range run.Plan.Items {
			change(&run.Plan.Items[i].Place)
		}
		for i := range run.Facts {
			change(&run.Facts[i].Place)
		}
		for i := range run.Results {
			change(&run.Results[i].Place)
		}
		for i := range run.Watches {
			change(&run.Watches[i].Place)
		}
	}
}

// The workflows' predictions hold of the simulated runs that have shown them, and do not
// of others; what they ask to be probed can be.
func TestPredictions(t *testing.T) {
	t.Parallel()
	type seen struct {
		run    string
		change func(*model.Run)
	}
	ipv4Only := everyPlace(func(p *model.Place) {
		if p.Environment == model.EnvLXDContainer {
			p.Scenario = "ipv4-only"
		}
	})
	buildTime := everyPlace(func(p *model.Place) { p.Setup = strings.Replace(p.Setup, "/runtime", "/build-time", 1) })
	cases := map[string]struct{ hold, fail []seen }{
		"docker-in-docker":       {[]seen{{"dind-runtime", buildTime}}, []seen{{"dind-runtime", nil}, {"registry-down", nil}, {"whole-run", nil}}},
		"docker-runtime-install": {[]seen{{"dind-runtime", nil}}, []seen{{"dind-runtime", buildTime}, {"registry-down", nil}, {"tls-intercepted", nil}}},
		"docker-standard-apt": {[]seen{{"whole-run", nil}, {"docker-forward-drop@28", nil}},
			[]seen{{"healthy", nil}, {"upstream-blocks-guests", nil}, {"nat-off", nil}, {"registry-down", nil}}},
		"docker-ipv4-fix": {[]seen{{"docker-first", ipv4Only}},
			[]seen{{"docker-first", nil}, {"healthy", ipv4Only}, {"upstream-blocks-guests", ipv4Only}}},
		"runner-connectivity": {[]seen{{"healthy", nil}}, []seen{{"registry-down", nil}, {"proxy-required", nil}}},
		"ping-limitation":     {[]seen{{"healthy", nil}}, []seen{{"healthy", answered}, {"proxy-required", nil}}},
	}
	found := 0
	for name, w := range workflows(t) {
		job, predicts := w.Jobs["prediction"]
		if !predicts {
			continue
		}
		found++
		require.Contains(t, cases, name)
		require.Equal(t, "./.github/workflows/prediction.yml", job.Uses)
		for _, s := range cases[name].hold {
			require.True(t, holds(t, job.With.Predicts, recorded(t, s.run, s.change)), "%s of %s", name, s.run)
		}
		for _, s := range cases[name].fail {
			require.False(t, holds(t, job.With.Predicts, recorded(t, s.run, s.change)), "%s of %s", name, s.run)
		}
		switch with := job.With; with.Environment {
		case model.EnvRunner:
		case model.EnvDind:
			require.Contains(t, []string{"build-time", "runtime"}, with.Phase)
		default:
			r := spec.NewHostRun()
			r.Environments, r.Scenarios, r.Image = []string{model.EnvRunner, with.Environment}, []string{with.Scenario}, "ubuntu/24.04"
			plan, err := r.Plan()
			require.NoError(t, err)
			require.Len(t, plan.Items, 3, "the runner, a guest as it is, and the scenario")
		}
	}
	require.Equal(t, len(cases), found)
}
