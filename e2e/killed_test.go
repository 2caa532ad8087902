//go:build e2e

package e2e

import (
	"bytes"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/testbed/await"
	"github.com/nestlab/nestlab/testbed/world"
	"github.com/nestlab/nestlab/testbed/world/cgroup"
)

var seed = flag.Uint64("seed", uint64(time.Now().UnixNano()), "draws the moments of kills")

// A call that is killed, or its run, at any moment: what is left of it in the host's
// cgroups goes with the next start of the engine.
func TestKilledCallsLeaveNoCgroups(t *testing.T) {
	t.Parallel()
	t.Logf("to draw the same moments again: -seed %d", *seed)
	drawn := rand.New(rand.NewPCG(*seed, 0))
	for _, hard := range []bool{true, false} {
		mark := strconv.Itoa(1e8 + drawn.IntN(1e8)) // seconds, by which its process is known here
		cmd := exec.Command("dagger", append(append([]string{"--silent", "call"}, inRunner(t, "./testbed/world/cgroup")...),
			"with-exec", "--insecure-root-capabilities", "--args",
			"nestlab,world,run,--state,/var/lib/nestlab-simulate,--,sh,-c,mkdir -p /sys/fs/cgroup/pids/a/b && sleep "+mark, "stdout")...)
		cmd.Dir = root(t)
		require.NoError(t, cmd.Start())
		sleeps := 0
		await.True(t, func() bool { sleeps = called(t, "sleep\x00"+mark+"\x00"); return sleeps > 0 })
		name := worldOf(t, sleeps)
		require.NotEmpty(t, worldGroups(t, name))
		time.Sleep(time.Duration(drawn.Int64N(int64(time.Second)))) // the moment, not a wait
		if hard {
			require.NoError(t, syscall.Kill(maker(t, sleeps), syscall.SIGKILL))
		}
		require.NoError(t, cmd.Process.Kill())
		require.Error(t, cmd.Wait())
		await.True(t, func() bool { return len(living(t, name)) == 0 }, "the run goes on after its call")
		if hard {
			require.NotEmpty(t, worldGroups(t, name), "or this test shows nothing")
		}
		up := exec.Command("make", "engine")
		up.Dir = root(t)
		out, err := up.CombinedOutput()
		require.NoError(t, err, "%s", out)
		require.Empty(t, worldGroups(t, name))
	}
}

// called is the process with that command line, 0 for none.
func called(t *testing.T, line string) int {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	require.NoError(t, err)
	for _, f := range files {
		if text, err := os.ReadFile(f); err == nil && string(text) == line {
			pid, err := strconv.Atoi(filepath.Base(filepath.Dir(f)))
			require.NoError(t, err)
			return pid
		}
	}
	return 0
}

// maker is the process that has made the world that a process is in: the first one up
// that is in none.
func maker(t *testing.T, pid int) int {
	t.Helper()
	for worldOf(t, pid) != "" {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		require.NoError(t, err)
		fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
		pid, err = strconv.Atoi(string(fields[1]))
		require.NoError(t, err)
	}
	return pid
}

// worldOf is the name of the cgroups that a process is in, if they are a world's.
func worldOf(t *testing.T, pid int) string {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	require.NoError(t, err)
	_, found, _ := strings.Cut(string(text), world.Prefix)
	if found == "" {
		return ""
	}
	return world.Prefix + strings.FieldsFunc(found, func(r rune) bool { return r == '/' || r == '\n' })[0]
}

// worldGroups are the host's cgroups of that name.
func worldGroups(t *testing.T, name string) []string {
	t.Helper()
	one, err := filepath.Glob("/sys/fs/cgroup/*/" + name)
	require.NoError(t, err)
	two, err := filepath.Glob("/sys/fs/cgroup/" + name)
	require.NoError(t, err)
	return append(one, two...)
}

// living are those of them that a process holds.
func living(t *testing.T, name string) []string {
	t.Helper()
	var held []string
	for _, dir := range worldGroups(t, name) {
		lock, err := cgroup.Lock(dir)
		require.NoError(t, err)
		if lock == nil {
			held = append(held, dir)
		} else {
			require.NoError(t, lock.Close())
		}
	}
	return held
}
