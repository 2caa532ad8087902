package dind

import (
	"context"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/session"
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
	n := Nested{Host: hangingDocker(t), Base: "debian", Binary: binary, Moment: BuildTime, Install: Install{Method: MethodDistro}, Ready: 60 * time.Millisecond}
	took := session.Took(func(string, time.Time, time.Duration, string) {})
	err := n.build(t.Context(), took)
	require.ErrorContains(t, err, "build nestlab/dind:distro: it was given up after 300ms")
	require.ErrorContains(t, err, "Ign:1 http://mirror.example bookworm InRelease")

	// Whoever ends the run is told so, and of no limit.
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(os.ErrProcessDone)
	err = n.build(ctx, took)
	require.Error(t, err)
	require.NotContains(t, err.Error(), "given up")
}
