package dind

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/session"
)

// program puts a dockerd of the test's own first on PATH.
func program(t *testing.T, text string) *Daemon {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "dockerd"), []byte("#!/bin/sh\n"+text+"\n"), 0o755))
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	return &Daemon{Socket: filepath.Join(dir, "docker.sock"), Dir: filepath.Join(dir, "state")}
}

// TestHowADaemonEndedIsTyped: by which code or signal, with the end of its own log.
func TestHowADaemonEndedIsTyped(t *testing.T) {
	for name, test := range map[string]struct {
		script string
		wait   time.Duration
		want   model.Daemon
	}{
		"exit":   {"echo starting; echo 'failed to start daemon: x' >&2; exit 3", time.Hour, model.Daemon{State: model.DaemonExited, ExitCode: 3, Log: []string{"starting", "failed to start daemon: x"}}},
		"signal": {"echo starting; kill -KILL $$", time.Hour, model.Daemon{State: model.DaemonKilled, Signal: "killed", Log: []string{"starting"}}},
		"silent": {"echo starting; exec sleep infinity", time.Second, model.Daemon{State: model.DaemonSilent, Log: []string{"starting"}}},
	} {
		d := program(t, test.script)
		err := d.Start(t.Context(), test.wait)
		failed := (*session.DaemonError)(nil)
		require.ErrorAs(t, err, &failed, name)
		test.want.Program = "dockerd"
		require.Equal(t, test.want, failed.Daemon, name)

		recorded, known, err := readFailure(d.Dir)
		require.NoError(t, err, name)
		require.Equal(t, test.want.State != model.DaemonSilent, known, name)
		n := Nested{Dir: d.Dir}
		why := errors.New("nothing answers")
		if known {
			why = recorded
		}
		require.ErrorAs(t, n.notReady(why), &failed, name)
		require.Equal(t, test.want, failed.Daemon, "%s: from outside of its container", name)
		require.ErrorContains(t, n.notReady(why), "starting", name)
	}
}

// TestWhatANestedDaemonLeavesIsNotBelieved further than it goes.
func TestWhatANestedDaemonLeavesIsNotBelieved(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	secret := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(secret, []byte(`{"state":"exited"}`), 0o600))
	require.NoError(t, os.Symlink(secret, failureFile(dir)))
	_, known, err := readFailure(dir)
	require.Error(t, err, "a link out of the directory")
	require.False(t, known)
	require.NoError(t, os.Remove(failureFile(dir)))

	write := func(d model.Daemon) {
		text, err := json.Marshal(d)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(failureFile(dir), text, 0o600))
	}
	write(model.Daemon{State: "fine"})
	_, _, err = readFailure(dir)
	require.ErrorContains(t, err, `"fine"`)
	write(model.Daemon{State: model.DaemonExited, Place: model.Place{Environment: model.EnvRunner}, Program: "sshd", Log: strings.Split(strings.Repeat("x\n", 500), "\n")})
	failed, known, err := readFailure(dir)
	require.NoError(t, err)
	require.True(t, known)
	e := (*session.DaemonError)(nil)
	require.ErrorAs(t, failed, &e)
	require.Equal(t, "dockerd", e.Daemon.Program)
	require.Empty(t, e.Daemon.Environment)
	require.LessOrEqual(t, len(e.Daemon.Log), 30)
	require.NoError(t, os.WriteFile(failureFile(dir), []byte(`{"log":["`+strings.Repeat("x", 1<<20)), 0o600))
	_, _, err = readFailure(dir)
	require.ErrorContains(t, err, "nested daemon")
}
