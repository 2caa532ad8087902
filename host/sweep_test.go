package host

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/remedy"
	"github.com/nestlab/nestlab/remedy/catalogue"
	"github.com/nestlab/nestlab/vm"
)

// fakeLXD answers at a unix socket as an LXD with some networks does, and notes
// which it is told to remove.
type fakeLXD struct {
	socket string

	mu      sync.Mutex
	removed []string
}

func newFakeLXD(t *testing.T, networks string) *fakeLXD {
	t.Helper()
	f := &fakeLXD{socket: filepath.Join(t.TempDir(), "lxd.socket")}
	l, err := net.Listen("unix", f.socket)
	require.NoError(t, err)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		metadata := "[]"
		switch {
		case r.Method == http.MethodDelete:
			f.mu.Lock()
			f.removed = append(f.removed, strings.TrimPrefix(r.URL.Path, "/1.0/"))
			f.mu.Unlock()
			metadata = "{}"
		case r.URL.Path == "/1.0":
			metadata = `{"api_extensions": ["network", "container_backup"], "auth": "trusted"}`
		case r.URL.Path == "/1.0/operations":
			metadata = "{}"
		case r.URL.Path == "/1.0/networks":
			metadata = networks
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"type": "sync", "status": "Success", "status_code": 200, "metadata": %s}`, metadata)
	})}
	go func() { _ = server.Serve(l) }() // ends with Close
	t.Cleanup(func() { require.NoError(t, server.Close()) })
	return f
}

const leftNetworks = `[{"name": "lxdbr0", "config": {}}, {"name": "nl-0123abcd", "config": {"user.nestlab": "lxd-vm@bridge-tuned/mtu"}}]`

// A run that only tries scenarios makes instances and bridges too, and so removes
// what a killed one left. Without either it asks no LXD, which need not be there.
func TestWhatTheRunSweeps(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		environments, scenarios []string
		want                    []string
	}{
		"instances":        {[]string{"lxd-vm"}, nil, []string{"network nl-0123abcd"}},
		"scenarios alone":  {[]string{"runner"}, []string{"baseline"}, []string{"network nl-0123abcd"}},
		"the runner alone": {[]string{"runner"}, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFakeLXD(t, leftNetworks)
			r := asked(vm.Remote{Address: f.socket}, c.environments, c.scenarios...)
			require.NoError(t, r.Validate())
			found, err := r.sweep(t.Context())
			require.NoError(t, err)
			require.Equal(t, c.want, found)
			f.mu.Lock()
			defer f.mu.Unlock()
			require.Len(t, f.removed, len(c.want))
		})
	}
}

// leftProxy is the journal of a killed run: a remedy that was not reverted, of the
// kind that changes a file, so that this needs no bridge.
func leftProxy(t *testing.T) (journal, file, text string) {
	t.Helper()
	journal, file = filepath.Join(t.TempDir(), "scenarios.json"), filepath.Join(t.TempDir(), "daemon.json")
	left := catalogue.Named(catalogue.DockerMTU, map[string]string{"mtu": "1400", "file": file})
	require.NoError(t, remedy.Host{Journal: journal}.Apply(t.Context(), left))
	require.FileExists(t, file)
	return journal, file, "docker-mtu file=" + file + " mtu=1400"
}

// What a killed run's scenarios left on this machine goes with what they left on its
// LXD, also where that does not answer. On the machine of another LXD nothing is touched.
func TestProxiesAreSwept(t *testing.T) {
	t.Parallel()
	journal, file, text := leftProxy(t)
	f := newFakeLXD(t, leftNetworks)
	here := vm.Remote{Address: f.socket}
	found, err := Sweep(t.Context(), here, journal, true, false, true)
	require.NoError(t, err)
	require.Contains(t, found, text)
	require.FileExists(t, file, "it was to be listed only")

	member := here
	member.Member = "two"
	_, err = sweepLXD(t.Context(), member, journal, false, false)
	require.NoError(t, err)
	require.FileExists(t, file)

	r := asked(here, []string{"lxd-vm"})
	r.Proxies = journal
	require.NoError(t, r.Validate())
	found, err = r.sweep(t.Context())
	require.NoError(t, err)
	require.Contains(t, found, text)
	require.NoFileExists(t, file)

	journal, file, text = leftProxy(t)
	require.NoError(t, os.Remove(f.socket))
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	found, err = sweepLXD(ctx, here, journal, false, false)
	require.Error(t, err)
	require.Equal(t, []string{text}, found)
	require.NoFileExists(t, file)
}

// Who has no such journal needs not be root, nor gets a directory for it.
func TestNoProxiesToSweep(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "nestlab")
	found, err := sweepLXD(t.Context(), vm.Remote{Address: newFakeLXD(t, "[]").socket}, filepath.Join(dir, "scenarios.json"), false, false)
	require.NoError(t, err)
	require.Empty(t, found)
	require.NoDirExists(t, dir)
}
