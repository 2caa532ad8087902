package dind

import (
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// An image of the cache is handed to the daemon whole; that the daemon takes it is
// seen in simulation, by the scenario cached.
func TestLoadImages(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a.tar"), []byte("an image"), 0o600))
	socket := filepath.Join(dir, "docker.sock")
	l, err := net.Listen("unix", socket)
	require.NoError(t, err)
	var taken []string
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/images/load") {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
			taken = append(taken, string(body))
		}
	})}
	go server.Serve(l)
	t.Cleanup(func() { require.NoError(t, server.Close()) })
	api, err := Dial("unix://" + socket)
	require.NoError(t, err)
	require.NoError(t, Guest{Cache: dir}.load(t.Context(), api))
	require.Equal(t, []string{"an image"}, taken)
	require.NoError(t, api.Close())
}
