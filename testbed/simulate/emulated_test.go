package simulate

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/report"
	"github.com/nestlab/nestlab/spec"
	"github.com/nestlab/nestlab/spec/targets"
)

// The machine is told the same request, and has memory for what is in it.
func TestMachineGetsTheRequest(t *testing.T) {
	t.Parallel()
	for _, flag := range machineFlags() {
		require.NotContains(t, []string{"--order", "--faults", "--environments", "--retries", "--runner"}, flag)
	}
	r := spec.NewSimulation()
	r.Runner, r.Environments = spec.Emulated, []string{"runner", "lxd-*"}
	for n, scenarios := range [][]string{nil, {"ping"}, {"ping", "baseline"}} {
		r.Scenarios = scenarios
		plan, err := r.Plan()
		require.NoError(t, err)
		require.Equal(t, n, virtualMachines(plan))
	}
}

// What a machine that died had written is a run, with the reason in its notes.
func TestSalvage(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, salvage(dir, errors.New("it never booted")))
	require.NoFileExists(t, filepath.Join(dir, model.RunFile), "nothing was observed")
	f, err := os.Create(filepath.Join(dir, model.JournalFile))
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
	text, err := os.ReadFile(filepath.Join(dir, model.RunFile))
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
		machine      bool
		scale        int
		connect, dns time.Duration
	}{
		{false, 1, 5 * time.Second, 5 * time.Second}, {true, 1, 10 * time.Second, 30 * time.Second},
		{false, 3, 10 * time.Second, 15 * time.Second}, {true, 10, 10 * time.Second, 5 * time.Minute},
	} {
		config := Config{InMachine: c.machine, ca: ca}
		config.Request.TimeoutScale = c.scale
		text, err := config.targets(nil)
		require.NoError(t, err)
		set, err := targets.Parse(bytes.NewReader(text))
		require.NoError(t, err)
		require.Equal(t, c.connect, set.Deadline(targets.DeadlineConnect))
		require.Equal(t, c.dns, set.Deadline(model.ProbeDNSA))
	}
}
