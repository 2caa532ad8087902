package remedy_test

import (
	"encoding/json"
	"net"
	"net/http"
	"os"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

const lxdSocket = fixtures + "/lxd.socket"

// lxdNetwork is what the tests' LXD keeps of its one bridge.
var lxdNetwork struct {
	sync.Mutex
	config map[string]string
	// refuses is how many changes more it does not make.
	refuses int
}

// busy is what LXD 5.0.2 says where its former dnsmasq is still there.
const busy = `The DNS and DHCP service exited prematurely: Process exited with non-zero value 2 ("dnsmasq: failed to create listening socket for 10.77.0.1: Address already in use")`

// fakeLXD answers as much of LXD's API as the setting of a network needs.
func fakeLXD(t *testing.T) {
	t.Helper()
	lxdNetwork.config = map[string]string{"ipv4.address": "10.77.0.1/24", "ipv4.nat": "true", "user.note": "kept"}
	require.NoError(t, os.RemoveAll(lxdSocket))
	l, err := net.Listen("unix", lxdSocket)
	require.NoError(t, err)
	answer := func(w http.ResponseWriter, metadata any) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("ETag", "tag")
		_ = json.NewEncoder(w).Encode(map[string]any{"type": "sync", "status": "Success", "status_code": 200, "metadata": metadata})
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /1.0", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, map[string]any{"api_extensions": []string{"network", "etag"}, "auth": "trusted"})
	})
	mux.HandleFunc("GET /1.0/networks/"+bridge, func(w http.ResponseWriter, _ *http.Request) {
		lxdNetwork.Lock()
		defer lxdNetwork.Unlock()
		answer(w, map[string]any{"name": bridge, "type": "bridge", "managed": true, "config": lxdNetwork.config})
	})
	mux.HandleFunc("PUT /1.0/networks/"+bridge, func(w http.ResponseWriter, r *http.Request) {
		var put struct{ Config map[string]string }
		if err := json.NewDecoder(r.Body).Decode(&put); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		lxdNetwork.Lock()
		defer lxdNetwork.Unlock()
		if lxdNetwork.refuses > 0 {
			lxdNetwork.refuses--
			w.WriteHeader(http.StatusInternalServerError)
			_ = json.NewEncoder(w).Encode(map[string]any{"type": "error", "error_code": 500, "error": busy})
			return
		}
		lxdNetwork.config = put.Config
		answer(w, nil)
	})
	server := &http.Server{Handler: mux}
	go func() { _ = server.Serve(l) }() // ends with Close
	t.Cleanup(func() { require.NoError(t, server.Close()) })
}
