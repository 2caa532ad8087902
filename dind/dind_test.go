package dind_test

import (
	"context"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/dind"
	"github.com/nestlab/nestlab/spec"
	"github.com/nestlab/nestlab/testbed/await"
)

func TestInstallRefusesAnUnknownMethod(t *testing.T) {
	t.Parallel()
	err := dind.Install{Origin: spec.Origin{Method: "magic"}}.Run(t.Context())
	require.ErrorContains(t, err, `"magic"`)
	require.ErrorContains(t, err, "distro")
}

func TestSettings(t *testing.T) {
	t.Parallel()
	s, err := dind.Settings("http://mirror.example:5000")
	require.NoError(t, err)
	require.Equal(t, "overlay2", s["storage-driver"])
	require.Equal(t, []string{"http://mirror.example:5000"}, s["registry-mirrors"])
	plain, err := dind.Settings()
	require.NoError(t, err)
	require.NotContains(t, plain, "registry-mirrors")
}

func TestRecord(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "etc", "setup.json")
	_, ok, err := dind.ReadRecord(path)
	require.NoError(t, err)
	require.False(t, ok)
	want := dind.Record{Method: "distro", Start: time.Unix(1, 0).UTC(), Duration: 3 * time.Second}
	require.NoError(t, dind.WriteRecord(path, want))
	got, ok, err := dind.ReadRecord(path)
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, want, got)
	require.NoError(t, os.WriteFile(path, []byte(`{"method":`), 0o644))
	_, _, err = dind.ReadRecord(path)
	require.ErrorContains(t, err, path)
}

// script puts a dockerd of the test's own first on PATH.
func script(t *testing.T, text string) {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "dockerd"), []byte("#!/bin/sh\n"+text+"\n"), 0o755))
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
}

func daemon(t *testing.T) *dind.Daemon {
	t.Helper()
	dir := t.TempDir()
	return &dind.Daemon{Socket: filepath.Join(dir, "docker.sock"), Dir: filepath.Join(dir, "state")}
}

func TestDaemonThatIsNotInstalled(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	require.ErrorContains(t, daemon(t).Start(t.Context(), time.Second), "nestlab dind install")
}

func TestDaemonThatDiesSaysWhy(t *testing.T) {
	script(t, "echo 'no space left on device' >&2; exit 1")
	d := daemon(t)
	err := d.Start(await.Context(t), time.Hour) // it does not wait for an API that cannot come
	require.ErrorContains(t, err, "no space left on device")
	require.ErrorContains(t, err, d.LogFile())
}

func TestDaemonThatNeverAnswers(t *testing.T) {
	script(t, "echo 'loading'; exec sleep infinity")
	err := daemon(t).Start(t.Context(), 300*time.Millisecond)
	require.ErrorContains(t, err, "did not answer within 300ms")
	require.ErrorContains(t, err, "loading")
}

// A daemon that dies is started again: the second one gets to its sleep.
func TestDaemonIsSupervised(t *testing.T) {
	once := filepath.Join(t.TempDir(), "once")
	script(t, "[ -e "+once+" ] && exec sleep infinity; : >"+once+"; exit 1")
	d := daemon(t)
	d.Restarts = 1
	api(t, d.Socket)
	require.NoError(t, d.Start(await.Context(t), time.Hour))
	await.True(t, func() bool { _, err := os.Stat(once); return err == nil })
	require.NoError(t, d.Stop())
}

// A dockerd whose supervisor is killed still has its data: nobody else may take that.
func TestDaemonHoldsTheLock(t *testing.T) {
	dir := t.TempDir()
	script(t, "ls -l /proc/self/fd >"+dir+"/held; exec sleep infinity")
	lock, err := os.Create(filepath.Join(dir, "lock"))
	require.NoError(t, err)
	d := daemon(t)
	d.Lock = lock
	api(t, d.Socket)
	require.NoError(t, d.Start(await.Context(t), time.Hour))
	await.True(t, func() bool {
		text, err := os.ReadFile(filepath.Join(dir, "held"))
		return err == nil && strings.Contains(string(text), lock.Name())
	})
	require.NoError(t, d.Stop())
}

func TestDaemonEndsWithItsContext(t *testing.T) {
	script(t, "exec sleep infinity")
	ctx, cancel := context.WithCancel(await.Context(t))
	d := daemon(t)
	api(t, d.Socket)
	require.NoError(t, d.Start(ctx, time.Hour))
	cancel()
	require.NoError(t, d.Wait())
}

// api answers for a daemon that is none.
func api(t *testing.T, socket string) {
	t.Helper()
	l, err := net.Listen("unix", socket)
	require.NoError(t, err)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { require.NoError(t, server.Close()) })
}
