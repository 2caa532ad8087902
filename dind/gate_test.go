package dind

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/docker/docker/client"
	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/testbed/await"
)

// opened is a gate to a unix socket that a test listens on.
func opened(t *testing.T, certificates string) (g *gate, daemon net.Listener) {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "docker.sock")
	daemon, err := net.Listen("unix", socket)
	require.NoError(t, err)
	g, err = openGate("127.0.0.1:0", certificates, socket)
	require.NoError(t, err)
	served := make(chan error, 1)
	ctx := await.Context(t)
	go func() { served <- g.serve(ctx) }()
	t.Cleanup(func() {
		require.NoError(t, <-served) // the context has ended
	})
	t.Cleanup(func() {
		_ = daemon.Close() // it may be closed with its server
	})
	return g, daemon
}

// A client ends its input, as `docker run -i` does, and still gets the output.
func TestGateClosesEachWayByItself(t *testing.T) {
	t.Parallel()
	certs := t.TempDir()
	require.NoError(t, WriteCertificates(certs, []string{"127.0.0.1"}))
	for _, dir := range []string{"", filepath.Join(certs, "server")} {
		g, daemon := opened(t, dir)
		go func() {
			conn, err := daemon.Accept()
			if err != nil {
				return
			}
			defer conn.Close()
			text, _ := io.ReadAll(conn) // to the end of the input
			_, _ = conn.Write(append([]byte("all of: "), text...))
		}()
		conn, err := net.Dial("tcp", g.listener.Addr().String())
		require.NoError(t, err)
		if dir != "" {
			conn = tls.Client(conn, clientTLS(t, certs))
		}
		_, err = conn.Write([]byte("input"))
		require.NoError(t, err)
		require.NoError(t, conn.(interface{ CloseWrite() error }).CloseWrite())
		text, err := io.ReadAll(conn)
		require.NoError(t, err)
		require.Equal(t, "all of: input", string(text))
		require.NoError(t, conn.Close())
	}
}

func clientTLS(t *testing.T, certs string) *tls.Config {
	t.Helper()
	config, err := serverTLS(filepath.Join(certs, "client"))
	require.NoError(t, err)
	return &tls.Config{Certificates: config.Certificates, RootCAs: config.ClientCAs, ServerName: "127.0.0.1"}
}

// Docker's own client gets through with the certificates of a client, and not without.
func TestGateWantsACertificate(t *testing.T) {
	t.Parallel()
	certs := t.TempDir()
	require.NoError(t, WriteCertificates(certs, []string{"127.0.0.1", "docker"}))
	g, daemon := opened(t, filepath.Join(certs, "server"))
	api := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })}
	go func() { _ = api.Serve(daemon) }()
	t.Cleanup(func() { require.NoError(t, api.Close()) })
	host := client.WithHost("tcp://" + g.listener.Addr().String())
	at := func(name string) string { return filepath.Join(certs, "client", name) }
	with, err := client.NewClientWithOpts(host, client.WithTLSClientConfig(at(caFile), at(certFile), at(keyFile)))
	require.NoError(t, err)
	_, err = with.Ping(t.Context())
	require.NoError(t, err)
	for _, options := range [][]client.Opt{
		{host},
		{host, client.WithTLSClientConfig(at(caFile), filepath.Join(certs, "server", certFile), filepath.Join(certs, "server", keyFile))},
	} {
		without, err := client.NewClientWithOpts(options...)
		require.NoError(t, err)
		_, err = without.Ping(t.Context())
		require.Error(t, err)
	}
	info, err := os.Stat(at(keyFile))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
}

func TestGateOnATakenPort(t *testing.T) {
	t.Parallel()
	g, _ := opened(t, "")
	_, err := openGate(g.listener.Addr().String(), "", "x")
	require.ErrorContains(t, err, "address already in use")
}
