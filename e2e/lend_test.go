//go:build e2e

package e2e

import (
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/canonical/lxd/client"
	"github.com/canonical/lxd/shared"
	"github.com/canonical/lxd/shared/api"
	"github.com/hashicorp/yamux"
	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/testbed/await"
	"github.com/nestlab/nestlab/testbed/nettest"
	"github.com/nestlab/nestlab/vm"
)

// lendLXD has a real LXD run on the engine, and gives its socket on this machine and
// the HOST:PORT at which the engine's containers reach what it serves by https.
func lendLXD(t *testing.T) (socket, https string) {
	t.Helper()
	plain, secure := freePort(t), freePort(t)
	args := append([]string{"--progress", "plain", "call"}, inRunner(t, "./vm/real")...)
	args = append(args, "with-exposed-port", "--port", "8443", "with-exposed-port", "--port", "8444",
		"as-service", "--args", "/opt/real.test,serve", "--insecure-root-capabilities",
		"up", "--ports", fmt.Sprintf("%d:8443", plain), "--ports", fmt.Sprintf("%d:8444", secure))
	cmd := exec.Command("dagger", args...)
	cmd.Dir = root(t)
	log, err := os.Create(filepath.Join(t.TempDir(), "lxd.log"))
	require.NoError(t, err)
	cmd.Stdout, cmd.Stderr = log, log
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		require.NoError(t, cmd.Process.Signal(syscall.SIGINT))
		cmd.Wait() // it was interrupted
		require.NoError(t, log.Close())
		if t.Failed() {
			text, err := os.ReadFile(log.Name())
			t.Logf("the lent LXD: %s, %v", tail(string(text)), err)
		}
	})
	socket = filepath.Join(t.TempDir(), "lxd.socket")
	lend(t, "unix", socket, plain)
	// Containers do not reach this machine's loopback.
	return socket, lend(t, "tcp", net.JoinHostPort(ownAddress(t), "0"), secure)
}

func freePort(t *testing.T) int {
	t.Helper()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer free.Close()
	return free.Addr().(*net.TCPAddr).Port
}

// ownAddress is one of this machine's that is not loopback's.
func ownAddress(t *testing.T) string {
	t.Helper()
	all, err := net.InterfaceAddrs()
	require.NoError(t, err)
	for _, a := range all {
		if n, ok := a.(*net.IPNet); ok && n.IP.To4() != nil && n.IP.IsGlobalUnicast() {
			return n.IP.String()
		}
	}
	require.Fail(t, "this machine has no address but loopback's")
	return ""
}

// lend joins each connection to an address with one in the connection to a port of
// loopback, and gives the address. It is one connection for all of them: Dagger 0.19.7's
// tunnel knows connections by their ports, forgets none that has ended, and passes nothing
// more for good once it writes to one of those.
func lend(t *testing.T, network, address string, port int) string {
	t.Helper()
	var tunnel net.Conn
	await.True(t, func() (up bool) {
		conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		tunnel = conn
		return err == nil
	})
	many, err := yamux.Client(tunnel, nettest.Bundle())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, many.Close()) })
	l, err := net.Listen(network, address)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.Close()) })
	go nettest.Pass(l, many.Open)
	return l.Addr().String()
}

// requireEndsAlone writes on to connections that LXD has ended, which is to end no other.
func requireEndsAlone(t *testing.T, socket string) {
	t.Helper()
	for range 20 {
		conn, err := net.Dial("unix", socket)
		require.NoError(t, err)
		for err == nil {
			_, err = io.WriteString(conn, "no request\r\n\r\n")
		}
		require.NoError(t, conn.Close())
	}
	_, err := lxd.ConnectLXDUnix(socket, nil)
	require.NoError(t, err)
}

// byHTTPS has an LXD serve by https and trust a client, whose flags it gives.
func byHTTPS(t *testing.T, socket, address string) []string {
	t.Helper()
	server, err := lxd.ConnectLXDUnix(socket, nil)
	require.NoError(t, err)
	cert, key, err := shared.GenerateMemCert(true, shared.CertOptions{})
	require.NoError(t, err)
	block, _ := pem.Decode(cert)
	require.NoError(t, server.CreateCertificate(api.CertificatesPost{
		Name: "client", Type: "client", Certificate: base64.StdEncoding.EncodeToString(block.Bytes),
	}))
	config := serve(t, server)
	file := func(name string, text []byte) string {
		path := filepath.Join(t.TempDir(), name)
		require.NoError(t, os.WriteFile(path, text, 0o600))
		return path
	}
	return []string{
		"--address", "https://" + address, "--client-cert", file("client.crt", cert), "--client-key", "file:" + file("client.key", key),
		"--server-cert", file("server.crt", []byte(config.Environment.Certificate)),
	}
}

// serve has an LXD serve by https, on its loopback.
func serve(t *testing.T, server lxd.InstanceServer) *api.Server {
	t.Helper()
	config, etag, err := server.GetServer()
	require.NoError(t, err)
	config.Config["core.https_address"] = "127.0.0.1:8443"
	require.NoError(t, server.UpdateServer(config.Writable(), etag))
	return config
}

// requireEnded waits for the end of an operation by looking at it: of the event nobody
// may be told. That what was ordered came about is seen after it.
func requireEnded(t *testing.T, server vm.Server, op lxd.Operation) {
	t.Helper()
	said := ""
	await.True(t, func() bool {
		o, _, err := server.GetOperation(op.Get().ID)
		if err == nil {
			said = o.Err
		}
		return err == nil && o.StatusCode.IsFinal() || api.StatusErrorCheck(err, http.StatusNotFound)
	})
	require.Empty(t, said)
}

// inCluster makes an LXD a cluster of one member, and a project in it, and gives the
// flags that name all of them.
func inCluster(t *testing.T, socket, project string) []string {
	t.Helper()
	const member = "first"
	server, err := lxd.ConnectLXDUnix(socket, nil)
	require.NoError(t, err)
	serve(t, server)
	op, err := server.UpdateCluster(api.ClusterPut{Cluster: api.Cluster{ServerName: member, Enabled: true}}, "")
	require.NoError(t, err)
	requireEnded(t, server, op)
	require.NoError(t, server.CreateProject(api.ProjectsPost{Name: project}))
	_, _, err = server.GetClusterMember(member)
	require.NoError(t, err)
	return []string{"--lxd", socket, "--member", member, "--project", project}
}
