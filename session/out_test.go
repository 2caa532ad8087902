package session_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/session"
)

// written is the directory of a run of two places.
func written(t *testing.T) string {
	t.Helper()
	s := &session.Session{
		Lanes:   [][]session.Environment{{&place{name: model.EnvRunner, exec: prints(0, line(t, "a:1"))}}},
		Targets: []byte("targets"), Platform: "unknown", ProbeTimeout: time.Minute, Progress: io.Discard,
	}
	dir := t.TempDir()
	require.NoError(t, s.Write(t.Context(), dir, model.Plan{Command: "simulate", Items: session.Items(s.Lanes)}, "test", nil))
	return dir
}

// TestALabelledRunIsThatOfItsJournal: what a run is told when it is over is in both files.
func TestALabelledRunIsThatOfItsJournal(t *testing.T) {
	t.Parallel()
	dir := written(t)
	require.NoError(t, session.Label(dir, model.Labels{Faults: []string{"nat-off", "clock-skew"}}))
	run := requireEqualToJournal(t, dir)
	require.Equal(t, []string{"nat-off", "clock-skew"}, run.Plan.Faults)
	require.ErrorContains(t, session.Label(t.TempDir(), model.Labels{}), "read the run")
	require.NoError(t, os.Remove(filepath.Join(dir, model.JournalFile)))
	require.ErrorContains(t, session.Label(dir, model.Labels{}), "label the run")
}

// TestAFullDiskLeavesNoHalfFile: a device that is always full stands for the disk.
func TestAFullDiskLeavesNoHalfFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), model.RunFile)
	require.NoError(t, os.Symlink("/dev/full", path+".tmp"))
	require.ErrorIs(t, session.WriteRun(path, model.Run{Schema: model.Schema}), syscall.ENOSPC)
	left, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	require.Empty(t, left)
}

// TestARunIsRebuiltFromItsJournal: without its file, and after a line that was cut off.
func TestARunIsRebuiltFromItsJournal(t *testing.T) {
	t.Parallel()
	dir := written(t)
	require.NoError(t, session.Label(dir, model.Labels{Faults: []string{"nat-off"}}))
	path := filepath.Join(dir, model.RunFile)
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, os.Remove(path))
	require.NoError(t, session.Rebuild(dir, nil))
	got, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), string(got))

	journal := filepath.Join(dir, model.JournalFile)
	text, err := os.ReadFile(journal)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(journal, append(text, `{"result":{"envi`...), 0o644))
	require.NoError(t, session.Rebuild(dir, errors.New("the machine died")))
	run := requireEqualToJournal(t, dir)
	require.Contains(t, run.Notes, "the machine died")
	require.Equal(t, []string{"nat-off"}, run.Plan.Faults)

	empty := t.TempDir()
	require.NoError(t, session.Rebuild(empty, errors.New("it never booted")))
	require.NoFileExists(t, filepath.Join(empty, model.RunFile), "nothing was observed")
}
