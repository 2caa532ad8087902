package main

import (
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

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
			v := &vmRun{remote: vm.Remote{Address: f.socket}, environments: c.environments, scenarios: c.scenarios}
			found, err := v.sweep(t.Context())
			require.NoError(t, err)
			require.Equal(t, c.want, found)
			f.mu.Lock()
			defer f.mu.Unlock()
			require.Len(t, f.removed, len(c.want))
		})
	}
}
