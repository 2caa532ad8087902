package report_test

import (
	"encoding/xml"
	"flag"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/diagnose"
	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/model/modeltest"
	"github.com/nestlab/nestlab/report"
)

var update = flag.Bool("update", false, "write the golden files again")

func diagnosed(run model.Run) model.Run {
	run.Diagnosis = diagnose.Diagnose(run)
	return run
}

func shown(t *testing.T, format string, run model.Run) string {
	t.Helper()
	f, err := report.FindFormat(format)
	require.NoError(t, err)
	var b strings.Builder
	require.NoError(t, f.Encode(&b, run))
	return b.String()
}

// nested is a run with all kinds of outcomes in eight places.
func nested() model.Run {
	run := diagnosed(modeltest.Proven())
	inner := model.Place{Environment: model.EnvDindInner, Setup: "distro/runtime"}
	vm := model.Place{Environment: model.EnvLXDVM}
	run.Results = append(run.Results, modeltest.Probes(inner, model.RoundBaseline, false)...)
	run.Results = append(run.Results,
		model.Result{Place: vm, Round: model.RoundBaseline, Probe: model.ProbeStart, Target: "lxd-vm", Attempt: 1,
			Outcome: model.Error, Reason: model.NotStarted, Start: modeltest.Start, Detail: model.Detail{Message: "vhost_vsock is not loaded"}},
		model.Result{Place: modeltest.Runner, Round: model.RoundBaseline, Probe: model.ProbeDockerPing, Target: "docker", Attempt: 2,
			Outcome: model.Pass, Start: modeltest.Start},
		model.Result{Place: modeltest.LXDContainer, Round: model.RoundBaseline, Probe: model.ProbeDockerPing, Target: "docker", Attempt: 1,
			Outcome: model.Skip, Reason: model.NoDocker, Start: modeltest.Start, Detail: model.Detail{Message: "no Docker here"}},
		model.Result{Place: modeltest.QEMUUser, Round: model.RoundBaseline, Probe: model.ProbeRegistryPull, Target: "registry.lab.test/hello:latest",
			Attempt: 1, Outcome: model.XPass, Start: modeltest.Start})
	run.Plan.Items = append(run.Plan.Items, model.PlanItem{Place: model.Place{Environment: model.EnvContainer}, Skip: "the engine has no containers here"})
	run.Setups[0].Note = "cached"
	run.Notes = []string{"journal line 7 is not an entry and was left out"}
	return run
}

func TestGolden(t *testing.T) {
	t.Parallel()
	runs := map[string]model.Run{
		"proven": diagnosed(modeltest.Proven()), "healthy": diagnosed(modeltest.Healthy()), "nested": nested(), "empty": {},
	}
	for name, run := range runs {
		for _, f := range report.Formats() {
			if f.Name == "json" {
				continue
			}
			t.Run(name+" "+f.Name, func(t *testing.T) {
				t.Parallel()
				got := shown(t, f.Name, run)
				path := filepath.Join("testdata", name+"."+f.File)
				if *update {
					require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
				}
				want, err := os.ReadFile(path)
				require.NoError(t, err)
				require.Equal(t, string(want), got, "run the tests of this package with -update when the change is meant")
			})
		}
	}
}

func TestTableIsReadable(t *testing.T) {
	t.Parallel()
	for _, line := range strings.Split(shown(t, "table", nested()), "\n") {
		require.LessOrEqual(t, text.RuneWidthWithoutEscSequences(line), 180, line)
		require.Equal(t, strings.TrimRight(line, " "), line)
	}
}

// hostile is a run whose every text from outside tries to break out.
func hostile(evil string) model.Run {
	run := diagnosed(modeltest.Proven())
	for i := range run.Results {
		run.Results[i].Target = evil
		run.Results[i].Detail = model.Detail{Message: evil, Output: evil}
	}
	run.Results[0].Reason, run.Results[0].Outcome = model.Reason(evil), model.Fail
	run.Results[1].Outcome = model.Outcome(evil)
	run.Plan.Items[0].Skip, run.Plan.Items[1].Setup = evil, evil+"/"+evil
	f := &run.Facts[0]
	f.Kernel, f.OS.ID, f.Resolvers, f.Errors = evil, evil, []string{evil}, []string{evil}
	f.Interfaces[0].Name, f.Forward[0].Chain, f.Docker.Version = evil, evil, evil
	run.Setups[0].Step, run.Setups[0].Note, run.Notes = evil, evil, []string{evil}
	d := &run.Diagnosis
	d.Summary, d.Cause, d.Environments, d.Evidence[0].Text, d.Proof.Text = evil, evil, []string{evil}, evil, evil
	d.Remedy = &model.Remedy{Name: evil, Commands: []string{evil}, Why: evil}
	d.RuledOut[0] = model.Refuted{Cause: evil, Why: evil}
	return run
}

func TestHostileTextsStayTexts(t *testing.T) {
	t.Parallel()
	for _, evil := range []string{
		"a|b", "a | b |", "```", "``` \n# h", "<script>alert(1)</script>", "</details>", "x\n\n# heading", "\x1b[31m\x07", "![i](http://evil.test/i)",
		"[l](javascript:x)", "\u202egnp.exe", "@everyone", "<!--", "a\rb", "ok 1 - fake\nnot ok 2", "# SKIP", "]]>", "\xff\xfe", "**b**", "a\u2028b", "- item", "1. item", "====", "---",
	} {
		run := hostile(evil)
		for _, f := range report.Formats() {
			if f.Name == "json" {
				continue
			}
			text := shown(t, f.Name, run)
			require.NotContains(t, text, "\x1b", f.Name)
			require.NotContains(t, text, "\x07", f.Name)
			require.NotContains(t, text, "\r", f.Name)
			require.NotContains(t, text, "\u202e", f.Name)
		}
		requireMarkdownIntact(t, shown(t, "markdown", run), shown(t, "markdown", hostile("plain")))
		require.NotContains(t, prose(t, shown(t, "markdown", run)), "<script")
		require.NotContains(t, shown(t, "junit", run), "<script")
		requireXML(t, shown(t, "junit", run))
		requireTAP(t, shown(t, "tap", run), shown(t, "tap", hostile("plain")))
	}
}

// prose is a document without its one block of code, which may hold anything.
func prose(t *testing.T, text string) string {
	t.Helper()
	_, rest, found := strings.Cut(text, "\n```")
	require.True(t, found)
	extra, rest, found := strings.Cut(rest, "sh\n")
	require.True(t, found)
	_, rest, found = strings.Cut(rest, "\n```"+extra+"\n")
	require.True(t, found, "the fence is not closed")
	return text[:strings.Index(text, "\n```")] + rest
}

// requireMarkdownIntact compares what gives the document its form.
func requireMarkdownIntact(t *testing.T, got, want string) {
	t.Helper()
	got, want = prose(t, got), prose(t, want)
	for name, mark := range map[string]*regexp.Regexp{
		"headings": regexp.MustCompile(`(?m)^#+ `), "fences": regexp.MustCompile("(?m)^```"), "lists": regexp.MustCompile(`(?m)^(- )*([-+] |\d+[.)] |=)`),
		"cells": regexp.MustCompile(`(?m)^\||(?:[^\\]) \|`), "details": regexp.MustCompile(`</?(details|summary)>`),
		"other tags": regexp.MustCompile(`<[^dsb/]`), "links": regexp.MustCompile(`[^\\]\]\(`), "strong": regexp.MustCompile(`[^\\]\*\*`),
	} {
		require.Len(t, mark.FindAllString(got, -1), len(mark.FindAllString(want, -1)), "%s in\n%s", name, got)
	}
}

func requireXML(t *testing.T, text string) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(text))
	for {
		token, err := d.Token()
		if token == nil {
			require.EqualError(t, err, "EOF")
			return
		}
		require.NoError(t, err)
	}
}

// requireTAP compares the lines and directives with those of a harmless run.
func requireTAP(t *testing.T, got, want string) {
	t.Helper()
	form := regexp.MustCompile(`(?m)^(TAP version 14|1\.\.\d+|(not )?ok \d+ - |# )|[^\\]# ?(SKIP|TODO)`)
	require.Equal(t, form.FindAllString(want, -1), form.FindAllString(got, -1), got)
}

func TestVerdict(t *testing.T) {
	t.Parallel()
	ok, lines := report.Verdict(diagnosed(modeltest.Healthy()))
	require.True(t, ok)
	require.Equal(t, []string{
		"6 environments, 30 probes: 24 pass, 6 xfail", "Observed 2026-03-01 12:00:00 UTC, run " + modeltest.ID,
	}, lines)

	ok, lines = report.Verdict(diagnosed(modeltest.DockerForwardDrop()))
	require.False(t, ok)
	require.Len(t, lines, 8)
	require.Equal(t, "lxd-container: tcp-connect 198.51.100.10:443: fail connect-timeout: dial tcp 198.51.100.10: i/o timeout", lines[0])
	require.Equal(t, "cause: docker-forward-drop (supported)", lines[6])
}

func TestVerdictIsBad(t *testing.T) {
	t.Parallel()
	for name, wreck := range map[string]func(*model.Run){
		"an error":           func(r *model.Run) { r.Results[0].Outcome = model.Error },
		"an unknown outcome": func(r *model.Run) { r.Results[0].Outcome = "new" },
		"no results":         func(r *model.Run) { r.Results, r.Plan.Items = nil, nil },
		"a place without any": func(r *model.Run) {
			r.Plan.Items = append(r.Plan.Items, model.PlanItem{Place: model.Place{Environment: "lxd-vm"}})
		},
		"a cause":      func(r *model.Run) { r.Diagnosis.Verdict, r.Diagnosis.Cause = model.CauseFound, "x" },
		"undetermined": func(r *model.Run) { r.Diagnosis.Verdict = model.Undetermined },
		"a later try failed": func(r *model.Run) {
			again := r.Results[0]
			again.Attempt, again.Outcome = 2, model.Fail
			r.Results = append(r.Results, again)
		},
	} {
		run := diagnosed(modeltest.Healthy())
		wreck(&run)
		ok, lines := report.Verdict(run)
		require.False(t, ok, name)
		require.NotEmpty(t, lines, name)
	}
}

func TestVerdictIsGood(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*model.Run){
		"a skip":             func(r *model.Run) { r.Results[0].Outcome = model.Skip },
		"an unexpected pass": func(r *model.Run) { r.Results[0].Outcome = model.XPass },
		"a place left out": func(r *model.Run) {
			r.Plan.Items = append(r.Plan.Items, model.PlanItem{Place: model.Place{Environment: "lxd-vm"}, Skip: "no KVM"})
		},
		"a failure in other rounds": func(r *model.Run) {
			again := r.Results[0]
			again.Round, again.Outcome = model.RoundReverted, model.Fail
			r.Results = append(r.Results, again)
		},
		"a later try passed": func(r *model.Run) {
			again := r.Results[0]
			again.Attempt = 2
			r.Results[0].Outcome = model.Fail
			r.Results = append(r.Results, again)
		},
	} {
		run := diagnosed(modeltest.Healthy())
		change(&run)
		ok, lines := report.Verdict(run)
		require.True(t, ok, "%s: %v", name, lines)
	}
}

func TestHeadsNameTheMethodOnlyWhereItTells(t *testing.T) {
	t.Parallel()
	run := modeltest.Healthy()
	require.Contains(t, shown(t, "markdown", run), "| dind build | dind run |")
	other := model.Place{Environment: model.EnvDind, Setup: "docker-ce/runtime"}
	run.Results = append(run.Results, modeltest.Probes(other, model.RoundBaseline, false)...)
	require.Contains(t, shown(t, "markdown", run), "| dind build | dind distro run | dind docker-ce run |")
}

func TestSetUpTimesAreOnlyWhatWasMeasured(t *testing.T) {
	t.Parallel()
	run := modeltest.Healthy()
	run.Setups = append(run.Setups,
		model.Timing{Place: modeltest.DindRun, Step: model.StepInstall, DurationMS: 40400},
		model.Timing{Place: modeltest.DindRun, Step: model.StepTotal, DurationMS: 0},
		model.Timing{Place: modeltest.QEMUUser, Step: "boot", DurationMS: 47000})
	run.Setups[1].DurationMS = 0
	text := shown(t, "markdown", run)
	require.Contains(t, text, "| start | 0.0 | 0.4 | – | – |", "nothing is so many times nothing")
	require.Contains(t, text, "| install | – | 39.4 | – | – |", "the median of two, and no ratio")
	require.Contains(t, text, "| boot | – | – | 47.0 | – |")
	require.NotContains(t, shown(t, "markdown", model.Run{}), "Set-up times")
}

func TestFormats(t *testing.T) {
	t.Parallel()
	require.Equal(t, []string{"table", "summary", "markdown", "json", "diagnosis", "junit", "tap"}, report.FormatNames())
	_, err := report.FindFormat("pdf")
	require.EqualError(t, err, `there is no format "pdf": choose one of table, summary, markdown, json, diagnosis, junit, tap`)
}

// Why a place did not start is in every form that people read, with its end, where
// the next step stands.
func TestStartsThatFailed(t *testing.T) {
	t.Parallel()
	run := model.Run{Schema: model.Schema, Results: []model.Result{{
		Place: model.Place{Environment: model.EnvLXDVM}, Probe: model.ProbeStart, Target: "lxd-vm", Round: model.RoundBaseline, Attempt: 1,
		Outcome: model.Error, Reason: model.NotStarted, Detail: model.Detail{Message: "reach LXD: " + strings.Repeat("x", 5000) + "\n\x1b[1mis it running?"},
	}}}
	for name, write := range map[string]func(io.Writer, model.Run) error{"table": report.Table, "diagnosis": report.DiagnosisText, "markdown": report.Markdown} {
		var out strings.Builder
		require.NoError(t, write(&out, run))
		require.Regexp(t, `not-started: lxd-vm: reach LXD: x+ … x+ .*is it running\?`, strings.Join(strings.Fields(out.String()), " "), name)
		require.NotContains(t, out.String(), "\x1b", name)
		require.Less(t, strings.Count(out.String(), "x"), 700, name)
	}
}
