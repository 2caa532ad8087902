package dind

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/session"
	"github.com/nestlab/nestlab/spec"
)

// hangingDocker is a daemon at the boundary of its API that begins what it is asked
// for, and never ends it, as one does whose packages do not come.
func hangingDocker(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "docker.sock")
	l, err := net.Listen("unix", path)
	require.NoError(t, err)
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("API-Version", "1.41")
		_, _ = w.Write([]byte(`{"Id":"x"}`))
	})
	mux.HandleFunc("POST /v1.41/exec/x/start", func(w http.ResponseWriter, r *http.Request) {
		conn, out, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		_, _ = out.WriteString("HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n")
		_, _ = out.WriteString("\x01\x00\x00\x00\x00\x00\x00\x06Ign:2\n")
		_ = out.Flush()
		_, _ = io.Copy(io.Discard, conn) // until the other side goes
	})
	mux.HandleFunc("POST /v1.41/build", func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte(`{"stream":"Ign:1 http://mirror.example bookworm InRelease\n"}` + "\n"))
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	server := &http.Server{Handler: mux}
	go func() { _ = server.Serve(l) }() // ends with Close
	t.Cleanup(func() { require.NoError(t, server.Close()) })
	return "unix://" + path
}

// An installation whose packages do not come is given up, with what it printed.
func TestInstallationIsGivenUp(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "nestlab")
	require.NoError(t, os.WriteFile(binary, []byte("x"), 0o755))
	n := Nested{Host: hangingDocker(t), Base: "debian", Binary: binary, Phase: spec.BuildTime, Install: Install{Origin: spec.Origin{Method: spec.Distro}}, Ready: 200 * time.Millisecond}
	took := session.Took(func(string, time.Time, time.Duration, string) {})
	err := n.build(t.Context(), took)
	require.ErrorContains(t, err, "build nestlab/dind:distro: it was given up after 1s")
	require.ErrorContains(t, err, "Ign:1 http://mirror.example bookworm InRelease")

	api, err := Dial(n.Host)
	require.NoError(t, err)
	err = n.install(t.Context(), &Container{api: api, id: "x"}, took)
	require.ErrorContains(t, err, "it was given up after 1s")
	require.ErrorContains(t, err, "it printed:\nIgn:2")

	// Whoever ends the run meanwhile reads that, and of no limit.
	n.Ready = time.Hour
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(300*time.Millisecond, func() { cancel(os.ErrProcessDone) })
	err = n.build(ctx, took)
	require.ErrorIs(t, err, os.ErrProcessDone)
	require.NotContains(t, err.Error(), "given up")
}
