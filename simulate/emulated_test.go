package simulate

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/probe"
	"github.com/nestlab/nestlab/report"
	"github.com/nestlab/nestlab/session"
)

func TestMachineRunsTheSameCommand(t *testing.T) {
	t.Parallel()
	c := Config{Order: LXDFirst, Faults: []string{"nat-off"}, Retries: 2, Intervene: true, Runner: Emulated}
	args := strings.Join(c.machineArgs(), " ")
	for _, want := range []string{"simulate --runner namespaced", "--order lxd-first", "--faults nat-off", "--retries 2", "--intervene=true", "--environments lxd-vm", "--out /out"} {
		require.Contains(t, args, want)
	}
	c.Environments = []string{model.EnvRunner}
	require.NotContains(t, strings.Join(c.machineArgs(), " "), model.EnvLXDVM)
	c.Environments, c.Scenarios = nil, []string{"macvlan"}
	args = strings.Join(c.machineArgs(), " ")
	require.Contains(t, args, "--scenarios macvlan")
	require.NotContains(t, args, "--environments", "scenarios alone have only the runner beside them")
	require.ErrorContains(t, Config{Order: LXDFirst, Runner: "paper"}.Validate(), "namespaced, emulated")
}

// What a machine that died had written is a run, with the reason in its notes.
func TestSalvage(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, salvage(dir, errors.New("it never booted")))
	require.NoFileExists(t, filepath.Join(dir, session.RunFile), "nothing was observed")
	f, err := os.Create(filepath.Join(dir, session.JournalFile))
	require.NoError(t, err)
	j := report.NewJournal(f)
	require.NoError(t, j.Append(model.Entry{Begin: &model.Begin{Schema: model.Schema, Version: "dev", Start: "2026-01-02T03:04:05Z"}}))
	require.NoError(t, j.Append(model.Entry{Result: &model.Result{
		Place: model.Place{Environment: model.EnvRunner}, Round: model.RoundBaseline, Probe: model.ProbeDNSA, Target: "a", Attempt: 1,
		Outcome: model.Pass, Start: time.Unix(0, 0).UTC(),
	}}))
	_, err = f.WriteString(`{"result":{"envi`)
	require.NoError(t, errors.Join(err, f.Close()))
	require.NoError(t, salvage(dir, errors.New("the machine died")))
	text, err := os.ReadFile(filepath.Join(dir, session.RunFile))
	require.NoError(t, err)
	require.NoError(t, report.Validate(text))
	run, err := report.Decode(bytes.NewReader(text))
	require.NoError(t, err)
	require.Len(t, run.Results, 1)
	require.Contains(t, run.Notes, "the machine died")
	require.NoError(t, salvage(dir, errors.New("again")), "a run that is there stays")
}

func TestWatchPassesOnAndEnds(t *testing.T) {
	t.Parallel()
	read, write := io.Pipe()
	var to bytes.Buffer
	ctx, ended := watch(t.Context(), read, &to, 50*time.Millisecond)
	_, err := write.Write([]byte("[   0.0s] dockerd is up\n"))
	require.NoError(t, err)
	<-ctx.Done()
	require.ErrorContains(t, context.Cause(ctx), "it hangs")
	require.NoError(t, ended())
	require.Equal(t, "[   0.0s] dockerd is up\n", to.String())
}

// What a patient simulation hands to its probes is a target set, with more time.
func TestPatientTargets(t *testing.T) {
	t.Parallel()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(ca, nil, 0o644))
	for _, c := range []struct {
		patience     int
		connect, dns time.Duration
	}{{1, 5 * time.Second, 5 * time.Second}, {6, 10 * time.Second, 30 * time.Second}} {
		text, err := Config{Patience: c.patience, ca: ca}.targets(nil)
		require.NoError(t, err)
		set, err := probe.ParseTargets(bytes.NewReader(text))
		require.NoError(t, err)
		require.Equal(t, c.connect, set.Deadline(probe.DeadlineConnect))
		require.Equal(t, c.dns, set.Deadline(model.ProbeDNSA))
	}
}
