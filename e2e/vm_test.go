//go:build e2e

package e2e

import (
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/canonical/lxd/client"
	"github.com/canonical/lxd/shared"
	"github.com/canonical/lxd/shared/api"
	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/model"
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

// lend joins each connection to an address with one to a port of loopback, and gives
// the address.
func lend(t *testing.T, network, address string, port int) string {
	t.Helper()
	l, err := net.Listen(network, address)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.Close()) })
	go func() {
		for {
			from, err := l.Accept()
			if err != nil {
				return
			}
			go join(from, fmt.Sprintf("127.0.0.1:%d", port))
		}
	}()
	return l.Addr().String()
}

func join(from net.Conn, to string) {
	defer from.Close()
	there, err := net.Dial("tcp", to)
	if err != nil {
		return // whoever connects tries again
	}
	defer there.Close()
	done := make(chan error, 2)
	go func() { _, err := io.Copy(there, from); done <- err }()
	go func() { _, err := io.Copy(from, there); done <- err }()
	<-done
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
	config, etag, err := server.GetServer()
	require.NoError(t, err)
	config.Config["core.https_address"] = "127.0.0.1:8443"
	require.NoError(t, server.UpdateServer(config.Writable(), etag))
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

// The call on a real LXD, by its socket and by https: the image comes as a file, and
// nothing stays of it.
func TestVM(t *testing.T) {
	t.Parallel()
	socket, address := lendLXD(t)
	image := filepath.Join(t.TempDir(), "lxd.tar")
	call(t, "runner", "file", "--path", "/opt/nestlab/lxd.tar", "export", "--path", image)
	server, err := vm.Connect(t.Context(), socket, limit)
	require.NoError(t, err)
	require.Eventually(t, func() bool { // until it is prepared
		_, _, err := server.GetImageAlias("nestlab")
		return err == nil
	}, 5*time.Minute, 200*time.Millisecond)
	images, err := server.GetImages()
	require.NoError(t, err)
	for _, i := range images { // so that it has to be imported
		op, err := server.DeleteImage(i.Fingerprint)
		require.NoError(t, err)
		require.NoError(t, op.WaitContext(t.Context()))
	}
	for _, way := range []struct {
		name, project string
		flags         func() []string
	}{
		{"socket", api.ProjectDefaultName, func() []string {
			return []string{"--lxd", socket, "--device", "eth0,hwaddr=" + ownMAC, "--family", "v4"}
		}},
		{"https", api.ProjectDefaultName, func() []string { return byHTTPS(t, socket, address) }},
		{"cluster", "lab", func() []string { return inCluster(t, socket, "lab") }},
	} {
		t.Run(way.name, func(t *testing.T) {
			run, _ := export(t, append([]string{
				"vm", "--environments", model.EnvLXDContainer, "--image-file", image, "--targets", fewTargets(t),
			}, way.flags()...)...)
			require.Empty(t, run.Notes)
			requireObserved(t, results(run, model.EnvLXDContainer, "", model.RoundBaseline))
			requireCard(t, run, way.name == "socket")
			requireNothingLeft(t, socket, way.project)
		})
	}
	t.Run("another member", func(t *testing.T) {
		run, _ := export(t, "vm", "--environments", model.EnvLXDContainer, "--image-file", image, "--lxd", socket, "--member", "elsewhere")
		found := results(run, model.EnvLXDContainer, "", model.RoundBaseline)
		require.Len(t, found, 1)
		require.Equal(t, model.NotStarted, found[0].Reason)
		require.Contains(t, found[0].Detail.Message, "elsewhere")
		t.Log(found[0].Detail.Message)
		requireNothingLeft(t, socket, api.ProjectDefaultName)
	})
}

// requireNothingLeft checks that a project of an LXD has no instance and no image.
func requireNothingLeft(t *testing.T, socket, project string) {
	t.Helper()
	server, err := lxd.ConnectLXDUnix(socket, nil)
	require.NoError(t, err)
	server = server.UseProject(project)
	instances, err := server.GetInstances(api.InstanceTypeAny)
	require.NoError(t, err)
	require.Empty(t, instances)
	images, err := server.GetImages()
	require.NoError(t, err)
	require.Empty(t, images)
}

// inCluster makes an LXD that serves by https a cluster of one member, and a project in
// it, and gives the flags that name all of them.
func inCluster(t *testing.T, socket, project string) []string {
	t.Helper()
	const member = "first"
	server, err := lxd.ConnectLXDUnix(socket, nil)
	require.NoError(t, err)
	op, err := server.UpdateCluster(api.ClusterPut{Cluster: api.Cluster{ServerName: member, Enabled: true}}, "")
	require.NoError(t, err)
	require.NoError(t, op.WaitContext(t.Context()))
	require.NoError(t, server.CreateProject(api.ProjectsPost{Name: project}))
	_, _, err = server.GetClusterMember(member)
	require.NoError(t, err)
	return []string{"--lxd", socket, "--member", member, "--project", project}
}

// ownMAC is in the block of addresses that LXD takes its own from.
const ownMAC = "00:16:3e:5a:00:01"

// requireCard checks the instance's card, as it is and with what was asked for.
func requireCard(t *testing.T, run model.Run, tuned bool) {
	t.Helper()
	for _, f := range run.Facts {
		for _, i := range f.Interfaces {
			if i.Name == "eth0" {
				require.Equal(t, tuned, i.MAC == ownMAC, i.MAC)
				require.Equal(t, !tuned, slices.ContainsFunc(i.Addresses, func(a string) bool { return strings.Contains(a, ":") }), "%v", i.Addresses)
				return
			}
		}
	}
	require.Fail(t, "there is no eth0")
}

// requireObserved checks that the few targets were all tried and answered, but the echo.
func requireObserved(t *testing.T, found []model.Result) {
	t.Helper()
	var seen []string
	for _, r := range found {
		switch {
		case r.Outcome == model.Skip:
			continue
		case r.Probe == model.ProbeICMP:
			require.Equal(t, model.NoReply, r.Reason, r.Detail.Message)
		default:
			require.Equal(t, model.Pass, r.Outcome, "%s: %s", r.Ref(), r.Detail.Message)
		}
		seen = append(seen, r.Probe)
	}
	require.ElementsMatch(t, []string{
		model.ProbeDNSA, model.ProbeDNSAAAA, model.ProbeTCP, model.ProbeTCP, model.ProbeFirst, model.ProbeHTTP, model.ProbeICMP,
	}, seen, strings.Join(seen, " "))
}

// fewTargets are a few of the simulated internet's, for an LXD that is in it.
func fewTargets(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "targets.yaml")
	require.NoError(t, os.WriteFile(file, []byte(`version: 1
name: few
dns: [archive.lab.test]
tcp: ["archive.lab.test:80", "registry.lab.test:443"]
http: ["http://archive.lab.test/"]
icmp: [archive.lab.test]
`), 0o644))
	return file
}

// An LXD that cannot be reached is one clear result, and a wrong use an error.
func TestVMThatIsNotThere(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "client.crt"), filepath.Join(dir, "client.key")
	for _, f := range []string{cert, key} {
		require.NoError(t, os.WriteFile(f, []byte("no certificate\n"), 0o600))
	}
	run, _ := export(t, "vm", "--address", "https://127.0.0.1:1", "--client-cert", cert, "--client-key", "file:"+key, "--environments", model.EnvLXDVM)
	found := results(run, model.EnvLXDVM, "", model.RoundBaseline)
	require.Len(t, found, 1)
	require.Equal(t, model.NotStarted, found[0].Reason)
	require.Contains(t, found[0].Detail.Message, "https://127.0.0.1:1")
	for says, args := range map[string][]string{
		"wants --client-cert": {"vm", "--address", "https://lxd:8443", "table"},
		"give the first with": {"vm", "--address", "https://lxd:8443", "--client-cert", cert, "--client-key", "file:" + key, "--rootfs-file", cert, "table"},
	} {
		_, stderr, err := try(t, args...)
		require.Error(t, err)
		require.Contains(t, stderr, says)
	}
}
