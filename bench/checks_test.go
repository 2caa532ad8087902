package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/model"
)

// The script makes the same checks as the suite: with tools that always work, and
// with tools that always fail, its verdicts fit the suite's plan. Not in parallel: a
// program that is written while another test forks is busy for that fork's moment.
func TestScriptChecksWhatTheSuiteChecks(t *testing.T) {
	all := []string{
		model.ProbeDNSA, model.ProbeDNSAAAA, model.ProbeTCP, model.ProbeFirst, model.ProbeHTTP, model.ProbeHTTPS, model.ProbeICMP, model.ProbePathMTU,
	}
	for _, order := range []string{"one-by-one", "side-by-side"} {
		for _, c := range []struct {
			body  string
			fails []string
		}{{"#!/bin/sh\necho 192.0.2.1\n", nil}, {"#!/bin/sh\nexit 1\n", all}} {
			t.Run(order+"/"+c.body, func(t *testing.T) {
				got, err := readLines(runScript(t, c.body, order))
				require.NoError(t, err)
				require.NoError(t, condition{"fake tools", c.fails}.verify(got))
			})
		}
	}
}

// runScript runs checks.sh with tools that are all the same script.
func runScript(t *testing.T, tool, order string) []byte {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"dig", "nc", "curl", "ping"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(tool), 0o755))
	}
	cmd := exec.CommandContext(t.Context(), "bash", "scripts/checks.sh", order, "5", "10", "-c1")
	cmd.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"), "NESTLAB_WORLD_CA=none")
	out, err := cmd.Output()
	require.NoError(t, err)
	return out
}

func TestVerify(t *testing.T) {
	got, err := readLines(runScript(t, "#!/bin/sh\necho 192.0.2.1\n", "one-by-one"))
	require.NoError(t, err)
	const ping, dns = "icmp-echo archive.lab.test", "dns-a archive.lab.test"
	require.ErrorContains(t, healthy.verify(got), ping+" worked: true")
	got[ping] = false
	require.NoError(t, healthy.verify(got))
	got["more"] = true
	require.ErrorContains(t, healthy.verify(got), "1 checks are not in the suite")
	delete(got, "more")
	delete(got, dns)
	require.ErrorContains(t, healthy.verify(got), dns+" was not checked")
}

func TestReadLines(t *testing.T) {
	t.Parallel()
	got, err := readLines([]byte("http http://a/ ok\ndns-a a failed\n"))
	require.NoError(t, err)
	require.Equal(t, verdicts{"http http://a/": true, "dns-a a": false}, got)
	for _, bad := range []string{"ok\n", "curl: no such option\n"} {
		_, err := readLines([]byte(bad))
		require.Error(t, err, bad)
	}
}

func TestReadJournal(t *testing.T) {
	t.Parallel()
	got, err := readJournal([]byte(`{"result":{"probe":"http","target":"a","outcome":"pass"}}
{"result":{"probe":"icmp-echo","target":"a","outcome":"xfail"}}
{"result":{"probe":"icmp-echo","target":"b","outcome":"xpass"}}
{"result":{"probe":"dns-a","target":"a","outcome":"error"}}
{"result":{"probe":"apt-update","target":"a","outcome":"skip"}}
{"note":"x"}
`))
	require.NoError(t, err)
	require.Equal(t, verdicts{"http a": true, "icmp-echo a": false, "icmp-echo b": true, "dns-a a": false}, got)
	_, err = readJournal([]byte(`{"result":`))
	require.Error(t, err)
}

func TestUntilReady(t *testing.T) {
	t.Parallel()
	at := model.Place{Environment: model.EnvDind, Setup: "distro/runtime"}
	step := func(p model.Place, name string, ms int64) model.Timing {
		return model.Timing{Place: p, Step: name, DurationMS: ms}
	}
	got, err := untilReady(model.Run{Setups: []model.Timing{
		step(at, model.StepImageBuild, 30000), step(at, model.StepInstall, 9000), step(at, model.StepDaemonReady, 800),
		step(at, model.StepFirstContainer, 700), step(at, model.StepTotal, 40500),
		step(model.Place{Environment: model.EnvDindInner}, model.StepInstall, 1),
	}})
	require.NoError(t, err)
	require.Equal(t, 9800*time.Millisecond, got)
	_, err = untilReady(model.Run{Setups: []model.Timing{step(at, model.StepInstall, 9000)}})
	require.ErrorContains(t, err, "nothing of a daemon")
}

// A run counts once, and only where the call that measures it made it.
func TestRunsAreThoseOfTheirCalls(t *testing.T) {
	t.Parallel()
	call := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	seen := runs{}
	require.NoError(t, seen.add(model.Run{ID: "a", Start: call.Add(time.Second)}, call))
	require.ErrorContains(t, seen.add(model.Run{ID: "a", Start: call.Add(time.Second)}, call), "measured before")
	require.ErrorContains(t, seen.add(model.Run{ID: "b", Start: call.Add(-time.Second)}, call), "before the call")
	require.ErrorContains(t, seen.add(model.Run{Start: call.Add(time.Second)}, call), "no identity")
	require.NoError(t, seen.add(model.Run{ID: "c", Start: call}, call))
}
