//go:build e2e

package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/docker/docker/client"
	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/testbed/await"
)

// dockerScript makes the directory $1, a root with Docker, a machine of its own by its
// namespaces, with a bridge beside Docker's, and starts dockerd in it.
const dockerScript = `set -eu
mount --make-rprivate /
mount --bind "$1" "$1" # dockerd remounts its root, which has to be a mount
mount -t proc proc "$1/proc"
mount -t sysfs -o ro sysfs "$1/sys"
mount --rbind /sys/fs/cgroup "$1/sys/fs/cgroup"
mount --rbind /dev "$1/dev"
mount -t tmpfs tmpfs "$1/var/lib/docker"
ip link set lo up
ip link add br9 type bridge
ip address add 10.99.0.1/24 dev br9
ip link set br9 up
ln -sf nestlab "$1/usr/local/bin/nestlab-runc"
exec env -i PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin chroot "$1" dockerd --host unix:///run/docker.sock \
	--storage-driver vfs --add-runtime nestlab-runc=/usr/local/bin/nestlab-runc --default-runtime nestlab-runc
`

// lendDocker has a real dockerd run on a machine of its own, which is its namespaces alone,
// and gives its socket.
func lendDocker(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "root")
	for _, d := range []string{"dev", "proc", "sys", "tmp", "run", "var/lib/docker"} {
		require.NoError(t, os.MkdirAll(filepath.Join(dir, d), 0o755))
	}
	// As one file: a whole root is exported file by file.
	call(t, "dind", "image", "with-exec", "--args", "tar,-C,/,-cf,/tmp/root.tar,bin,etc,lib,lib64,sbin,usr", "file", "--path", "/tmp/root.tar", "export", "--path", dir+".tar")
	out, err := exec.Command("tar", "-C", dir, "-xf", dir+".tar").CombinedOutput()
	require.NoError(t, err, string(out))
	cmd := exec.Command("unshare", "--mount", "--pid", "--net", "--uts", "--ipc", "--fork", "--kill-child", "sh", "-c", dockerScript, "sh", dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	log, err := os.Create(filepath.Join(t.TempDir(), "dockerd.log"))
	require.NoError(t, err)
	cmd.Stdout, cmd.Stderr = log, log
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		require.NoError(t, cmd.Process.Kill())
		require.Error(t, cmd.Wait())
		require.NoError(t, log.Close())
		if t.Failed() {
			text, err := os.ReadFile(log.Name())
			t.Logf("the lent dockerd: %s, %v", tail(string(text)), err)
		}
	})
	socket := filepath.Join(dir, "run/docker.sock")
	api, err := client.NewClientWithOpts(client.WithHost("unix://"+socket), client.WithAPIVersionNegotiation())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, api.Close()) })
	await.True(t, func() bool {
		_, err := api.Ping(t.Context())
		return err == nil
	})
	return socket
}
