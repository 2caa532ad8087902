package dind_test

import (
	"context"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/testbed/await"
)

// TestARestartAfterAnInterruptStopsOnly: a change of the configuration has to be
// reverted also when the run that the daemon was for is over.
func TestARestartAfterAnInterruptStopsOnly(t *testing.T) {
	starts := filepath.Join(t.TempDir(), "starts")
	script(t, "echo started >>"+starts+"; exec sleep infinity")
	ctx, interrupt := context.WithCancel(t.Context())
	d := daemon(t)
	up := answering(t, d.Socket)
	require.NoError(t, d.Start(ctx, time.Hour))
	await.True(t, func() bool { // the file is there before its line
		text, err := os.ReadFile(starts)
		return err == nil && len(text) > 0
	})
	require.NoError(t, up.Close()) // it answers as little as a daemon that has ended
	interrupt()
	require.NoError(t, d.Restart(context.WithoutCancel(ctx)))
	require.NoError(t, d.Wait(), "it is gone")
	text, err := os.ReadFile(starts)
	require.NoError(t, err)
	require.Equal(t, "started\n", string(text))
}

// TestARestartIsBounded: by its own context, not by how long the first start might take.
func TestARestartIsBounded(t *testing.T) {
	script(t, "exec sleep infinity")
	d := daemon(t)
	up := answering(t, d.Socket)
	require.NoError(t, d.Start(t.Context(), time.Hour))
	require.NoError(t, up.Close()) // no daemon answers any more
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	require.ErrorContains(t, d.Restart(ctx), "did not answer")
	require.NoError(t, d.Stop())
}

// answering is an API that ends when it is closed.
func answering(t *testing.T, socket string) *http.Server {
	t.Helper()
	l, err := net.Listen("unix", socket)
	require.NoError(t, err)
	up := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })}
	go func() { _ = up.Serve(l) }()
	return up
}
