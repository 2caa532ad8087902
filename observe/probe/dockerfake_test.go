package probe_test

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"sync"
	"testing"
	"time"

	"github.com/docker/docker/pkg/stdcopy"
	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/observe/probe"
)

// fakeDaemon answers as much of Docker's API as the probes call. It is there to
// break in the middle of an answer; that the calls work is shown by real daemons.
type fakeDaemon struct {
	t      *testing.T
	socket string
	server *http.Server

	mu    sync.Mutex
	image bool // the image is there
	calls []string

	pull, build func(w http.ResponseWriter)
	// left are the images of a build, by whether all were asked for.
	left   map[string][]map[string]any
	driver string
	start  int    // status of the container's start
	says   string // why it is refused
	exit   int
	prints string
}

var apiVersion = regexp.MustCompile(`^/v[0-9.]+`)

func newFakeDaemon(t *testing.T) *fakeDaemon {
	t.Helper()
	dir, err := os.MkdirTemp("", "nl") // t.TempDir's names are too long for a socket
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	f := &fakeDaemon{t: t, socket: filepath.Join(dir, "d.sock"), driver: "overlay2", start: http.StatusNoContent, prints: "hello from nestlab\n"}
	f.pull = func(w http.ResponseWriter) {
		f.image = true
		f.stream(w, `{"status":"Pulling"}`, `{"status":"Downloading","progressDetail":{"current":1,"total":2}}`, `{"status":"Digest: sha256:0"}`)
	}
	f.build = func(w http.ResponseWriter) { f.stream(w, `{"stream":"Step 1/2"}`, `{"aux":{"ID":"sha256:1"}}`) }
	mux := http.NewServeMux()
	f.routes(mux)
	f.server = &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		defer f.mu.Unlock()
		r.URL.Path = apiVersion.ReplaceAllString(r.URL.Path, "")
		f.calls = append(f.calls, r.Method+" "+r.URL.Path)
		mux.ServeHTTP(w, r)
	})}
	l, err := net.Listen("unix", f.socket)
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- f.server.Serve(l) }()
	t.Cleanup(func() {
		require.NoError(t, f.server.Close())
		require.ErrorIs(t, <-served, http.ErrServerClosed)
	})
	return f
}

func (f *fakeDaemon) routes(mux *http.ServeMux) {
	mux.HandleFunc("/_ping", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Api-Version", "1.41") })
	mux.HandleFunc("GET /info", func(w http.ResponseWriter, _ *http.Request) {
		f.answer(w, http.StatusOK, map[string]any{"ServerVersion": "20.10.24", "Driver": f.driver, "DockerRootDir": f.t.TempDir()})
	})
	mux.HandleFunc("GET /images/json", func(w http.ResponseWriter, r *http.Request) {
		f.answer(w, http.StatusOK, f.left[r.URL.Query().Get("all")])
	})
	mux.HandleFunc("GET /images/{name...}", func(w http.ResponseWriter, _ *http.Request) {
		if !f.image {
			f.fail(w, http.StatusNotFound, "No such image")
			return
		}
		f.answer(w, http.StatusOK, map[string]any{"Id": "sha256:0"})
	})
	mux.HandleFunc("DELETE /images/{name...}", func(w http.ResponseWriter, r *http.Request) {
		if r.PathValue("name") == fakeImage {
			f.image = false
		}
		f.answer(w, http.StatusOK, []any{})
	})
	mux.HandleFunc("POST /images/create", func(w http.ResponseWriter, _ *http.Request) { f.pull(w) })
	mux.HandleFunc("POST /build", func(w http.ResponseWriter, _ *http.Request) { f.build(w) })
	mux.HandleFunc("POST /containers/create", func(w http.ResponseWriter, _ *http.Request) {
		f.answer(w, http.StatusCreated, map[string]any{"Id": "c1"})
	})
	mux.HandleFunc("POST /containers/c1/start", func(w http.ResponseWriter, _ *http.Request) {
		if f.says != "" {
			f.fail(w, f.start, f.says)
			return
		}
		w.WriteHeader(f.start)
	})
	mux.HandleFunc("POST /containers/c1/wait", func(w http.ResponseWriter, _ *http.Request) {
		f.answer(w, http.StatusOK, map[string]any{"StatusCode": f.exit})
	})
	mux.HandleFunc("GET /containers/c1/logs", func(w http.ResponseWriter, _ *http.Request) {
		_, err := fmt.Fprint(stdcopy.NewStdWriter(w, stdcopy.Stdout), f.prints)
		if err != nil {
			f.t.Error(err)
		}
	})
	mux.HandleFunc("POST /networks/create", func(w http.ResponseWriter, _ *http.Request) {
		f.answer(w, http.StatusCreated, map[string]any{"Id": "n1"})
	})
	mux.HandleFunc("GET /networks/bridge", func(w http.ResponseWriter, _ *http.Request) {
		f.answer(w, http.StatusOK, map[string]any{"Options": map[string]string{"com.docker.network.driver.mtu": "1400"}})
	})
	mux.HandleFunc("DELETE /networks/n1", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	mux.HandleFunc("DELETE /containers/c1", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
}

func (f *fakeDaemon) answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(v); err != nil {
		f.t.Error(err)
	}
}

func (f *fakeDaemon) fail(w http.ResponseWriter, status int, message string) {
	f.answer(w, status, map[string]string{"message": message})
}

func (f *fakeDaemon) stream(w http.ResponseWriter, lines ...string) {
	for _, line := range lines {
		if _, err := fmt.Fprintln(w, line); err != nil {
			f.t.Error(err)
		}
	}
}

func (f *fakeDaemon) host(o *probe.Options) { o.DockerHost = "unix://" + f.socket }

func (f *fakeDaemon) called(call string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.calls {
		if c == call {
			return true
		}
	}
	return false
}
