package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/model"
)

// executed runs a command and returns what it wrote to both streams.
func executed(t *testing.T, cmd *cobra.Command, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	var out, errs bytes.Buffer
	cmd.SetOut(&out)
	cmd.SetErr(&errs)
	cmd.SetArgs(args)
	err = cmd.ExecuteContext(t.Context())
	return out.String(), errs.String(), err
}

// targetFile holds targets that need nothing beyond this machine.
func targetFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "targets.yaml")
	require.NoError(t, os.WriteFile(path, []byte("version: 1\nname: here\n"+text), 0o644))
	return path
}

func TestProbeWritesJournalLines(t *testing.T) {
	t.Parallel()
	path := targetFile(t, "tcp: ['127.0.0.1:9']\napt: {packages: [hello]}\n")
	stdout, stderr, err := executed(t, newProbeCommand(), "--environment", "dind", "--setup", "distro/runtime", "--targets", path, "--suite", "network", "--platform", "simulated")
	require.NoError(t, err, "a probe that fails is data")
	lines := strings.Split(strings.TrimSpace(stdout), "\n")
	require.Len(t, lines, 6)
	var entries []model.Entry
	for _, line := range lines {
		var e model.Entry
		require.NoError(t, json.Unmarshal([]byte(line), &e), line)
		entries = append(entries, e)
	}
	require.NotNil(t, entries[0].Facts, "the facts come first")
	require.Equal(t, "simulated", entries[0].Facts.Platform)
	outcomes := map[string]model.Outcome{}
	last := entries[len(entries)-1].Inspection
	require.NotNil(t, last, "what the place saw when it failed comes last")
	// Both probes are made at once: either may be the first to fail.
	require.Equal(t, entries[1].Result.Probe, last.Probe, "the inspection is of the first that failed")
	require.NotEmpty(t, last.Interfaces)
	for _, e := range entries[1 : len(entries)-1] {
		require.Equal(t, model.Place{Environment: "dind", Setup: "distro/runtime"}, e.Result.Place)
		require.Equal(t, model.RoundBaseline, e.Result.Round)
		outcomes[e.Result.Probe] = e.Result.Outcome
	}
	require.Equal(t, map[string]model.Outcome{
		model.ProbeTCP: model.Fail, model.ProbeFirst: model.Fail, model.ProbeAptUpdate: model.Skip, model.ProbeAptInstall: model.Skip,
	}, outcomes)
	require.Contains(t, stderr, "[4/4]")
}

func TestProbeListProbesNothing(t *testing.T) {
	t.Parallel()
	stdout, _, err := executed(t, newProbeCommand(), "--environment", "lxd-vm", "--targets", "simulated", "--suite", "network", "--list")
	require.NoError(t, err)
	require.Contains(t, stdout, "https://registry.lab.test/v2/")
	require.Regexp(t, `docker-run\s+registry.lab.test/library/hello:1\s+1m0s\s+no-docker`, stdout)
}

func TestProbeMisuse(t *testing.T) {
	t.Parallel()
	for wants, args := range map[string][]string{
		"--environment is missing; known: runner":   {},
		`unknown environment "moon"; known: runner`: {"--environment", "moon"},
		`unknown suite "all"; known: network`:       {"--environment", "runner", "--suite", "all"},
		`unknown target set "nope"; built in: live`: {"--environment", "runner", "--targets", "nope"},
		`unknown field "dnss"; known here`:          {"--environment", "runner", "--targets", targetFile(t, "dnss: [x]")},
		`unknown platform "gcp"; known: azure`:      {"--environment", "runner", "--platform", "gcp"},
		"unknown flag: --bogus":                     {"--bogus"},
		"unknown command \"x\"":                     {"x"},
		"no such file or directory":                 {"--environment", "runner", "--targets", filepath.Join(t.TempDir(), "none.yaml")},
		"--timeout 0s leaves no time to probe":      {"--environment", "runner", "--timeout", "0s"},
		"11 retries; write 0 to 10":                 {"--environment", "runner", "--retries", "11"},
	} {
		stdout, _, err := executed(t, newProbeCommand(), args...)
		require.ErrorContains(t, err, wants)
		require.Equal(t, exitUsage, exitCode(err))
		require.Empty(t, stdout, "nothing is observed")
	}
}

func TestFacts(t *testing.T) {
	t.Parallel()
	stdout, _, err := executed(t, newFactsCommand(), "--environment", "container")
	require.NoError(t, err)
	var f model.Facts
	require.NoError(t, json.Unmarshal([]byte(stdout), &f))
	require.Equal(t, "container", f.Environment)
	require.NotEmpty(t, f.Interfaces)

	stdout, _, err = executed(t, newFactsCommand(), "--table")
	require.NoError(t, err)
	require.Contains(t, stdout, f.Kernel)
	require.Contains(t, stdout, "interface lo")

	_, _, err = executed(t, newFactsCommand(), "--table", "--json")
	require.ErrorContains(t, err, "give one")
	require.Equal(t, exitUsage, exitCode(err))

	_, _, err = executed(t, newFactsCommand(), "--environment", "moon")
	require.ErrorContains(t, err, `unknown environment "moon"; known: runner`)
	require.Equal(t, exitUsage, exitCode(err))
}
