package dind

import (
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/nestlab/nestlab/spec"
	"github.com/nestlab/nestlab/testbed/await"
)

// programs puts programs of the test's own first on PATH, and others away with alone.
func programs(t *testing.T, scripts map[string]string) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range scripts {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+text+"\n"), 0o755))
	}
	t.Setenv("PATH", dir)
}

func TestDockerVersion(t *testing.T) {
	programs(t, map[string]string{"dockerd": "echo 'Docker version 26.1.5+dfsg1, build a72d7cd'"})
	got, err := dockerVersion(t.Context())
	require.NoError(t, err)
	require.Equal(t, 26, got)
	programs(t, map[string]string{"dockerd": "echo nonsense"})
	_, err = dockerVersion(t.Context())
	require.ErrorContains(t, err, "nonsense")
}

func TestNetworks(t *testing.T) {
	t.Parallel()
	conf := filepath.Join(t.TempDir(), "resolv.conf")
	require.NoError(t, os.WriteFile(conf, []byte("nameserver 127.0.0.11\nnameserver 10.213.0.53\nnameserver fd00::1\n"), 0o644))
	got, err := networks(conf)
	require.NoError(t, err)
	require.Contains(t, got, netip.MustParsePrefix("10.213.0.53/32"))
	require.NotContains(t, got, netip.MustParsePrefix("127.0.0.11/32"))
	require.NotContains(t, got, netip.MustParsePrefix("0.0.0.0/0"), "the default route is everybody's")
	_, err = networks(conf + "-missing")
	require.NoError(t, err, "a root without one has no resolvers")
}

// The configured iptables is kept where it works, and the other kind taken where it does not.
func TestChooseIPTables(t *testing.T) {
	const works, broken = "exit 0", "echo 'Table does not exist (do you need to insmod?)' >&2; exit 3"
	dir := t.TempDir()
	programs(t, map[string]string{"iptables": works})
	path, why, err := chooseIPTables(t.Context(), dir)
	require.NoError(t, err)
	require.Empty(t, path)
	require.Contains(t, why, "as configured")

	programs(t, map[string]string{"iptables": broken, "iptables-nft": broken, "iptables-legacy": works})
	for range 2 { // it is started again
		path, why, err = chooseIPTables(t.Context(), dir)
		require.NoError(t, err)
		target, err := os.Readlink(filepath.Join(path, "iptables"))
		require.NoError(t, err)
		require.Equal(t, "iptables-legacy", filepath.Base(target))
		six, err := os.Readlink(filepath.Join(path, "ip6tables"))
		require.NoError(t, err)
		require.Equal(t, "ip6tables-legacy", filepath.Base(six))
		require.Contains(t, why, "insmod")
	}
	programs(t, map[string]string{"iptables": broken})
	_, _, err = chooseIPTables(t.Context(), dir)
	require.ErrorContains(t, err, "modprobe")
	require.ErrorContains(t, err, "insmod")
}

func TestChooseDriver(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	driver, why, err := chooseDriver(root, "")
	require.NoError(t, err)
	require.Equal(t, spec.Overlay2, driver, why)
	driver, _, err = chooseDriver(root, spec.VFS)
	require.NoError(t, err)
	require.Equal(t, spec.VFS, driver)
	require.NoError(t, os.MkdirAll(filepath.Join(root, "image", "vfs"), 0o755))
	driver, why, err = chooseDriver(root, "")
	require.NoError(t, err)
	require.Equal(t, spec.VFS, driver, "its images would be out of sight with another")
	require.Contains(t, why, "has its images")
	entries, err := os.ReadDir(root)
	require.NoError(t, err)
	require.Len(t, entries, 1, "what was tried is left behind")
}

// An overlay is no file system to put another's upper layer on: that is a container's root.
func TestChooseDriverOnAnOverlay(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	options := ""
	for _, name := range []string{"lowerdir", "upperdir", "workdir"} {
		require.NoError(t, os.Mkdir(filepath.Join(dir, name), 0o755))
		options += "," + name + "=" + filepath.Join(dir, name)
	}
	root := filepath.Join(dir, "root")
	require.NoError(t, os.Mkdir(root, 0o755))
	require.NoError(t, unix.Mount("overlay", root, "overlay", 0, strings.TrimPrefix(options, ",")))
	t.Cleanup(func() { require.NoError(t, unix.Unmount(root, 0)) })
	driver, why, err := chooseDriver(root, "")
	require.NoError(t, err)
	require.Equal(t, spec.VFS, driver, why)
	require.Contains(t, why, "no overlay can be mounted")
	_, _, err = chooseDriver(root, spec.Overlay2)
	require.ErrorContains(t, err, "take vfs, or put the data root on a volume")
}

func TestDelegateCgroups(t *testing.T) {
	t.Parallel()
	did, err := delegateCgroups(t.TempDir())
	require.NoError(t, err)
	require.Contains(t, did, "version 1")

	hierarchy := t.TempDir()
	require.NoError(t, unix.Mount("cgroup2", hierarchy, "cgroup2", 0, ""))
	t.Cleanup(func() { require.NoError(t, unix.Unmount(hierarchy, 0)) })
	did, err = delegateCgroups(hierarchy)
	require.NoError(t, err)
	require.Contains(t, did, "the machine's own root")

	// A container's root is a cgroup below it, with the container's processes.
	root := filepath.Join(hierarchy, "nestlab-test-"+strconv.Itoa(os.Getpid()))
	require.NoError(t, os.Mkdir(root, 0o755))
	process := exec.CommandContext(await.Context(t), "sleep", "infinity")
	require.NoError(t, process.Start())
	t.Cleanup(func() {
		_ = process.Process.Kill() // it may have ended
		_ = process.Wait()         // it was killed
		for _, dir := range []string{filepath.Join(root, "init"), root} {
			require.NoError(t, os.Remove(dir))
		}
	})
	pid := strconv.Itoa(process.Process.Pid)
	require.NoError(t, os.WriteFile(filepath.Join(root, "cgroup.procs"), []byte(pid), 0))
	did, err = delegateCgroups(root)
	require.NoError(t, err)
	require.Contains(t, did, "moved 1 processes")
	moved, err := os.ReadFile(filepath.Join(root, "init", "cgroup.procs"))
	require.NoError(t, err)
	require.Equal(t, pid, strings.TrimSpace(string(moved)))
	_, err = delegateCgroups(root) // a restart
	require.NoError(t, err)
}
