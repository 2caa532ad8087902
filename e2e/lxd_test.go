//go:build e2e

package e2e

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/canonical/lxd/shared/api"
	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/vm"
)

// inRunner is a call of the runner's container with the tests of vm/real in it.
func inRunner(t *testing.T) []string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "real.test")
	build := exec.CommandContext(t.Context(), "go", "test", "-c", "-tags", "e2e", "-o", binary, "./vm/real")
	build.Dir = root(t)
	out, err := build.CombinedOutput()
	require.NoError(t, err, string(out))
	return []string{
		"runner", "with-mounted-temp", "--path", "/var/lib/nestlab-simulate",
		"with-file", "--path", "/opt/real.test", "--source", binary,
		"with-env-variable", "--name", "NOW", "--value", time.Now().String(),
	}
}

// Virtual machines on a real LXD and a real QEMU, interrupted, killed and broken in
// every way: vm/real says what is tested.
func TestRealLXDAndQEMU(t *testing.T) {
	t.Parallel()
	out := call(t, append(inRunner(t), "with-exec", "--insecure-root-capabilities", "--args",
		"nestlab,world,run,--state,/var/lib/nestlab-simulate,--,/opt/real.test,-test.v", "stdout")...)
	t.Log(out)
	require.Contains(t, out, "\nPASS")
}

// lendLXD has a real LXD run on the engine, and gives its socket on this machine.
func lendLXD(t *testing.T) string {
	t.Helper()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	port := free.Addr().(*net.TCPAddr).Port
	require.NoError(t, free.Close())
	args := append([]string{"--progress", "plain", "call"}, inRunner(t)...)
	args = append(args, "with-exposed-port", "--port", "8443",
		"as-service", "--args", "/opt/real.test,serve", "--insecure-root-capabilities", "up", "--ports", fmt.Sprintf("%d:8443", port))
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
	})
	socket := filepath.Join(t.TempDir(), "lxd.socket")
	l, err := net.Listen("unix", socket)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.Close()) })
	go forward(l, fmt.Sprintf("127.0.0.1:%d", port))
	return socket
}

// forward joins each connection with one to a TCP address.
func forward(l net.Listener, to string) {
	for {
		from, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
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
		}()
	}
}

// The call with a socket, on a real LXD: the image comes as a file, and nothing
// stays of it.
func TestVMBySocket(t *testing.T) {
	t.Parallel()
	socket, image := lendLXD(t), filepath.Join(t.TempDir(), "lxd.tar")
	call(t, "runner", "file", "--path", "/opt/nestlab/lxd.tar", "export", "--path", image)
	server, err := vm.Connect(t.Context(), socket, limit)
	require.NoError(t, err)
	require.Eventually(t, func() bool { // until it has its bridge
		_, _, err := server.GetNetwork(vm.Bridge)
		return err == nil
	}, 2*time.Minute, 200*time.Millisecond)
	run, _ := export(t, "vm", "--lxd", socket, "--environments", model.EnvLXDContainer, "--image-file", image, "--targets", targets(t))
	require.Empty(t, run.Notes)
	seen := 0
	for _, r := range results(run, model.EnvLXDContainer, "", model.RoundBaseline) {
		switch {
		case r.Outcome == model.Skip:
		case r.Probe == model.ProbeICMP:
			require.Equal(t, model.NoReply, r.Reason)
			seen++
		default:
			require.Equal(t, model.Pass, r.Outcome, "%s: %s", r.Ref(), r.Detail.Message)
			seen++
		}
	}
	require.GreaterOrEqual(t, seen, 6)
	instances, err := server.GetInstances(api.InstanceTypeAny)
	require.NoError(t, err)
	require.Empty(t, instances)
	left, err := vm.Leftovers(t.Context(), server)
	require.NoError(t, err)
	require.Empty(t, left)
}

// targets are a few of the simulated internet's, for an LXD that is in it.
func targets(t *testing.T) string {
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
		"name one LXD":        {"vm", "table"},
		"wants --client-cert": {"vm", "--address", "https://lxd:8443", "table"},
		"--address is https":  {"vm", "--address", "lxd:8443", "table"},
		"give the first with": {"vm", "--address", "https://lxd:8443", "--client-cert", cert, "--client-key", "file:" + key, "--rootfs-file", cert, "table"},
	} {
		_, stderr, err := try(t, args...)
		require.Error(t, err)
		require.Contains(t, stderr, says)
	}
}
