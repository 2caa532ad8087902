package session_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/session"
)

// Why a daemon is down is evidence: the diagnosis has to find it in the run.
func TestWhatDidNotStartIsNotedBeforeTheDiagnosis(t *testing.T) {
	t.Parallel()
	dir, before := t.TempDir(), error(&session.DaemonError{
		Daemon: model.Daemon{Program: "dockerd", State: model.DaemonExited, ExitCode: 1, Log: []string{"failed to start daemon: x"}},
		Err:    errors.New("dockerd ended by itself"),
	})
	s := &session.Session{Platform: "unknown", ProbeTimeout: time.Second, Progress: &bytes.Buffer{}}
	require.ErrorIs(t, s.Write(t.Context(), dir, model.Plan{}, "test", before), before)
	text, err := os.ReadFile(filepath.Join(dir, model.JournalFile))
	require.NoError(t, err)
	var order []string
	for _, line := range bytes.Split(bytes.TrimSpace(text), []byte("\n")) {
		var e model.Entry
		require.NoError(t, json.Unmarshal(line, &e))
		switch {
		case e.Note != "":
			require.Equal(t, before.Error(), e.Note)
			order = append(order, "note")
		case e.Daemon != nil:
			require.Equal(t, "daemons/runner/dockerd", e.Daemon.Ref())
			require.Equal(t, 1, e.Daemon.ExitCode)
			order = append(order, "daemon")
		case e.Diagnosis != nil:
			order = append(order, "diagnosis")
		}
	}
	require.Equal(t, []string{"note", "daemon", "diagnosis"}, order, "once, and in time")
}

// A run that is killed must not be taken for the one before it: that one's files
// are gone before anything is observed.
func TestEarlierRunIsGoneWhileThisOneGoesOn(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "out")
	earlier := []string{filepath.Join(dir, model.RunFile), filepath.Join(dir, model.RunFile+".tmp")}
	require.NoError(t, os.MkdirAll(dir, 0o755))
	for _, path := range earlier {
		require.NoError(t, os.WriteFile(path, []byte("{}"), 0o644))
	}
	looked, left := false, []string{}
	p := &place{name: model.EnvRunner, exec: func(context.Context, session.Command) (int, error) {
		looked = true
		for _, path := range earlier {
			if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
				left = append(left, path)
			}
		}
		return 0, nil
	}}
	s := &session.Session{Lanes: [][]session.Environment{{p}}, ProbeTimeout: time.Second, Progress: &bytes.Buffer{}}
	require.NoError(t, s.Write(t.Context(), dir, model.Plan{}, "test", nil))
	require.True(t, looked)
	require.Empty(t, left)
	require.FileExists(t, earlier[0])
}
