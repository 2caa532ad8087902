// Package testcontainers has a test as users of Testcontainers write them.
package testcontainers

import (
	"io"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
	tc "github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/wait"
)

// TestStart starts a container and asks it by the port that it publishes.
func TestStart(t *testing.T) {
	web, err := tc.Run(t.Context(), "web",
		tc.WithExposedPorts("80/tcp"), tc.WithWaitStrategy(wait.ForHTTP("/").WithPort("80/tcp")))
	tc.CleanupContainer(t, web)
	require.NoError(t, err)
	url, err := web.Endpoint(t.Context(), "http")
	require.NoError(t, err)
	answer, err := http.Get(url)
	require.NoError(t, err)
	text, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	require.Equal(t, "hello from a container\n", string(text))
	t.Log("answered at", url)
}
