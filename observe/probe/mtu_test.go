package probe_test

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/nftables"
	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/spec/targets"
	"github.com/nestlab/nestlab/testbed/nettest"
)

// blobs serves /blob/N, N bytes, and takes a body at /sink.
func blobs(t *testing.T) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/blob/{n}", func(w http.ResponseWriter, r *http.Request) {
		n, err := strconv.Atoi(r.PathValue("n"))
		if err != nil {
			t.Errorf("asked for %s", r.URL)
		}
		w.Header().Set("Content-Length", strconv.Itoa(n))
		// A client that gives up is part of the test.
		if _, err := io.WriteString(w, strings.Repeat("x", n)); err != nil {
			t.Logf("write: %v", err)
		}
	})
	mux.HandleFunc("POST /sink", func(_ http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			t.Logf("read: %v", err)
		}
	})
	return mux
}

func pathMTU(t *testing.T) model.Result {
	t.Helper()
	targets := &targets.Set{PathMTU: []targets.PathMTU{{URL: "http://" + farPort + "/blob/65536", Bytes: 65536, Sink: "http://" + farPort + "/sink"}}}
	return one(t, observe(t, targets, nil, model.SuiteNetwork), model.ProbePathMTU)
}

func TestPathMTU(t *testing.T) {
	t.Parallel()
	if !nettest.Isolated(t) {
		return
	}
	peer := nettest.Wire(t)
	want(t, pathMTU(t), model.Refused)

	server := &http.Server{Handler: blobs(t), ReadHeaderTimeout: time.Minute}
	listener := peer.Listen(t, farPort)
	go func() { t.Log(server.Serve(listener)) }()
	t.Cleanup(func() { require.NoError(t, server.Close()) })
	r := pathMTU(t)
	want(t, r, "")
	require.Equal(t, "1500", r.Detail.Values["path_mtu"])
	require.Equal(t, "65536", r.Detail.Values["down_bytes"])
	require.Contains(t, r.Detail.Values, "up_ms")

	large := append(nettest.LongerThan(1000), nettest.Drop())
	for name, hook := range map[string]*nftables.ChainHook{"down": nftables.ChainHookOutput, "up": nftables.ChainHookInput} {
		undo := nettest.Filter(t, peer, hook, large...)
		r := pathMTU(t)
		want(t, r, model.MTU)
		require.Contains(t, r.Detail.Message, "("+name+")")
		undo()
	}
	want(t, pathMTU(t), "")
}
