//go:build e2e

package real

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/canonical/lxd/shared/api"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/testbed/await"
)

// tmpfs is a file system of that size, for a disk that gets full.
func tmpfs(t *testing.T, dir, size string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(dir, 0o755))
	require.NoError(t, unix.Mount("tmpfs", dir, "tmpfs", 0, "size="+size))
	t.Cleanup(func() { require.NoError(t, unix.Unmount(dir, 0)) })
}

// requireNotStarted checks that the run has one result, that the instance did not
// start, which says these.
func requireNotStarted(t *testing.T, s *started, says ...string) {
	t.Helper()
	require.Zero(t, s.wait(t), s.stderr.String())
	run := s.run(t)
	require.Len(t, run.Results, 1)
	r := run.Results[0]
	require.Equal(t, model.ProbeStart, r.Probe)
	require.Equal(t, model.NotStarted, r.Reason)
	t.Log(r.Detail.Message)
	for _, say := range says {
		require.Contains(t, r.Detail.Message, say)
	}
}

func TestWrongImage(t *testing.T) {
	before := snapshot(t)
	dir := filepath.Join(scratch, "images")
	require.NoError(t, os.MkdirAll(dir, 0o755))
	garbage, empty, noInit := filepath.Join(dir, "garbage.tar.xz"), filepath.Join(dir, "empty.tar"), filepath.Join(dir, "no-init.tar")
	require.NoError(t, os.WriteFile(garbage, []byte(strings.Repeat("garbage ", 1000)), 0o644))
	pack := func(file, metadata string) {
		root := filepath.Join(dir, "root")
		require.NoError(t, os.MkdirAll(filepath.Join(root, "rootfs", "sbin"), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(root, "metadata.yaml"), []byte(metadata), 0o644))
		out, err := exec.Command("tar", "-C", root, "-cf", file, "metadata.yaml", "rootfs").CombinedOutput()
		require.NoError(t, err, string(out))
	}
	pack(empty, "properties: {}\n")
	pack(noInit, "architecture: x86_64\ncreation_date: 1700000000\n")
	for _, c := range []struct {
		name, image string
		says        []string
	}{
		{"no such alias", "no-such-alias", []string{"from image no-such-alias", "lxc image list"}},
		{"no such fingerprint", "0123456789abcdef", []string{"0123456789abcdef", "lxc image list"}},
		{"no such file", "./no-such-file.tar", []string{"open the LXD image", "no-such-file.tar"}},
		{"garbage", garbage, []string{"import the LXD image " + garbage, "metadata.yaml and rootfs"}},
		{"no architecture", empty, []string{"import the LXD image " + empty, "rchitecture"}},
		// It is made and does not come up: a guest that never boots.
		{"no init", noInit, []string{"the LXD instance nestlab-lxd-container", "lxc.log"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			requireNotStarted(t, start(t, "--image", c.image), c.says...)
			requireSame(t, before)
		})
	}
	t.Run("no such network", func(t *testing.T) {
		requireNotStarted(t, start(t, "--image", alias, "--network", "none0"), "lxc network list")
		requireSame(t, before)
	})
	t.Run("no such pool", func(t *testing.T) {
		requireNotStarted(t, start(t, "--image", alias, "--pool", "none"), "lxc storage list")
		requireSame(t, before)
	})
}

func TestFullDisk(t *testing.T) {
	t.Run("of the storage pool", func(t *testing.T) {
		dir := filepath.Join(scratch, "small-pool")
		tmpfs(t, dir, "20M")
		server := connect(t)
		require.NoError(t, server.CreateStoragePool(api.StoragePoolsPost{
			Name: "small", Driver: "dir", StoragePoolPut: api.StoragePoolPut{Config: map[string]string{"source": dir}},
		}))
		before := snapshot(t)
		requireNotStarted(t, start(t, "--image", alias, "--pool", "small"), "out of disk space", "free space in the storage pool small")
		requireSame(t, before)
		out, err := exec.Command("lxc", "storage", "delete", "small").CombinedOutput()
		require.NoError(t, err, string(out))
	})
	t.Run("of the results", func(t *testing.T) {
		dir := filepath.Join(scratch, "small-out")
		tmpfs(t, dir, "4K")
		before := snapshot(t)
		require.NoError(t, os.WriteFile(filepath.Join(dir, "full"), make([]byte, 4096), 0o644))
		s := start(t, "--image", alias, "--out", dir)
		require.Equal(t, 3, s.wait(t), s.stderr.String())
		require.Contains(t, s.stderr.String(), "no space left on device")
		require.NoError(t, os.Remove(filepath.Join(dir, "full")))
		requireSame(t, before)
	})
}

// lxdPID is LXD's own process. What it starts looks the same until it is another program.
func lxdPID(t *testing.T) int {
	t.Helper()
	var pids []int
	await.True(t, func() bool { pids = lxds(t); return len(pids) == 1 })
	return pids[0]
}

// lxds are the processes that look like LXD's own.
func lxds(t *testing.T) []int {
	t.Helper()
	dirs, err := filepath.Glob("/proc/[0-9]*")
	require.NoError(t, err)
	var found []int
	for _, dir := range dirs {
		text, err := os.ReadFile(filepath.Join(dir, "cmdline"))
		if err == nil && strings.HasPrefix(string(text), "lxd\x00--group") {
			var pid int
			for _, digit := range filepath.Base(dir) {
				pid = 10*pid + int(digit-'0')
			}
			found = append(found, pid)
		}
	}
	return found
}

// An LXD that dies while a place is probed: what was observed is kept, the error
// says what to do, and once LXD runs again vm gc removes the rest.
func TestLXDDiesInExec(t *testing.T) {
	before := snapshot(t)
	s := start(t, "--image", alias)
	s.until(t, func() bool { return len(s.journal(t).Results) > 0 })
	require.NoError(t, syscall.Kill(lxdPID(t), syscall.SIGKILL))
	restart := sync.OnceValue(func() error { return daemon.Restart(context.WithoutCancel(t.Context())) })
	defer restart() // whatever comes, for the others
	require.Equal(t, 3, s.wait(t))
	t.Log(s.stderr.String())
	require.Contains(t, s.stderr.String(), "`nestlab vm gc` removes what is left")
	run := s.run(t)
	require.Greater(t, len(run.Results), 1, "what was observed is lost")
	last := lost(t, run)
	require.Contains(t, last.Detail.Message, "look whether LXD still runs")

	require.NoError(t, restart())
	require.Contains(t, gc(t), "removed instance nestlab-lxd-container")
	requireSame(t, before)
}

// An LXD that hangs does not hold nestlab up for good.
func TestLXDHangs(t *testing.T) {
	before := snapshot(t)
	pid := lxdPID(t)
	defer syscall.Kill(pid, syscall.SIGCONT) // whatever comes, for the others, and before their clean-up
	require.NoError(t, syscall.Kill(pid, syscall.SIGSTOP))
	// On a busy machine its threads go on until the first of them takes the signal.
	await.True(t, func() bool { return stopped(t, pid) })
	s := start(t, "--image", alias)
	requireNotStarted(t, s, "reach LXD on "+socket, "does it run")
	require.NoError(t, syscall.Kill(pid, syscall.SIGCONT))
	requireSame(t, before)
}

// stopped reports whether all threads of a process are.
func stopped(t *testing.T, pid int) bool {
	t.Helper()
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	require.NoError(t, err)
	for _, thread := range threads {
		text, err := os.ReadFile(thread)
		if err != nil { // it has ended meanwhile
			continue
		}
		if _, state, _ := strings.Cut(string(text), ") "); !strings.HasPrefix(state, "T") {
			return false
		}
	}
	return len(threads) > 0
}
