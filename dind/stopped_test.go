package dind

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestADaemonThatTakesNothingIsNotWaitedFor: the kernel takes connections for one that is
// stopped.
func TestADaemonThatTakesNothingIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "nl") // t.TempDir's names are too long for a socket
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	l, err := net.Listen("unix", filepath.Join(dir, "d.sock"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.Close()) })
	c := &Container{Host: "unix://" + l.Addr().String(), Image: "x", Patience: 50 * time.Millisecond}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	err = c.Start(ctx, nil)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorContains(t, err, "for a sign of life")
	require.NoError(t, ctx.Err(), "its own time is over, not that of the start")
}
