//go:build e2e

package e2e

import (
	"context"
	"strings"
	"testing"
	"time"

	"dagger.io/dagger"
	"github.com/stretchr/testify/require"
)

// connect opens a session, as programs do.
func connect(t *testing.T) *dagger.Client {
	t.Helper()
	// The session goes on after the context of the test, which ends before what cleans up.
	client, err := dagger.Connect(context.WithoutCancel(t.Context()))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	return client
}

// What the engine's images are is said by themselves, not by their names.
func TestBaseImage(t *testing.T) {
	t.Parallel()
	text, err := connect(t).Container().From("debian:bookworm").File("/etc/os-release").Contents(t.Context())
	require.NoError(t, err)
	require.True(t, strings.Contains(text, "ID=debian"), text)
}

// An image that cannot be had is an error at once, not a search elsewhere.
func TestMissingImage(t *testing.T) {
	t.Parallel()
	client := connect(t)
	for _, ref := range []string{"nestlab.invalid/no/such:1", "nestlab-no-such-image:1"} {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute) // many times what an answer takes
		_, err := client.Container().From(ref).Sync(ctx)
		cancel()
		require.Error(t, err, ref)
		require.NotErrorIs(t, err, context.DeadlineExceeded, ref)
	}
}
