package world_test

import (
	"bytes"
	"context"
	"errors"
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
	"github.com/nestlab/nestlab/testbed/world/hostsnapshot"
)

// The tests of this file run one after the other and before the parallel ones,
// so that what a snapshot shows is theirs.

// snapshot is all that these tests' own machine has.
func snapshot(t *testing.T) []string {
	t.Helper()
	lines, err := hostsnapshot.Take()
	require.NoError(t, err)
	return lines
}

// becomes waits until the machine is as it was before.
func becomes(t *testing.T, before []string) {
	t.Helper()
	var diff []string
	await.True(t, func() bool { diff = hostsnapshot.Diff(before, snapshot(t)); return len(diff) == 0 },
		"%s", await.Said(func() string { return strings.Join(diff, "\n") }))
}

// moments draws the points at which runs are interrupted and killed.
func moments(t *testing.T) *rand.Rand {
	t.Helper()
	t.Logf("to draw the same moments again: -seed %d", *seed)
	return rand.New(rand.NewPCG(*seed, 0))
}

// leavesNothing fails if f changes the machine or leaves something in the state directory.
func leavesNothing(t *testing.T, state string, f func()) {
	t.Helper()
	before := snapshot(t)
	f()
	becomes(t, before)
	entries, err := os.ReadDir(state)
	require.NoError(t, err)
	require.Empty(t, entries)
}

func TestNothingStaysBehind(t *testing.T) {
	for name, test := range map[string]struct {
		config  world.Config
		command []string
		fails   string
	}{
		"end":             {command: []string{"true"}},
		"bad end":         {command: []string{"false"}},
		"killed":          {command: []string{"sh", "-c", "kill -KILL $$"}},
		"daemon left":     {command: []string{"sh", "-c", "setsid sleep infinity & ip link add nlt0 type veth peer name nlt1"}},
		"unknown command": {command: []string{"no-such-command"}, fails: "no-such-command"},
		"no internet":     {config: world.Config{AptRepository: "/nowhere"}, command: []string{"true"}, fails: "/nowhere"},
		"cgroups left":    {command: []string{"sh", "-c", "mkdir -p /sys/fs/cgroup/pids/a/b && (echo 0 >/sys/fs/cgroup/pids/a/b/cgroup.procs; setsid sleep infinity &)"}},
	} {
		t.Run(name, func(t *testing.T) {
			test.config.State = t.TempDir()
			leavesNothing(t, test.config.State, func() {
				_, err := world.New(test.config).Run(t.Context(), test.command, world.Stdio{})
				if test.fails == "" {
					require.NoError(t, err)
				} else {
					require.ErrorContains(t, err, test.fails)
				}
			})
		})
	}
}

func TestNothingStaysWhenCanceledAtAnyPoint(t *testing.T) {
	state, drawn := t.TempDir(), moments(t)
	for range 15 {
		after := time.Duration(drawn.Int64N(int64(400 * time.Millisecond)))
		leavesNothing(t, state, func() {
			ctx, cancel := context.WithTimeout(t.Context(), after)
			defer cancel()
			var out bytes.Buffer
			command := []string{"sh", "-c", "trap 'echo asked; exit' TERM; echo up; sleep infinity & wait"}
			_, err := world.New(world.Config{State: state}).Run(ctx, command, world.Stdio{Out: &out})
			require.ErrorIs(t, err, context.DeadlineExceeded, "canceled after %v", after)
			require.Contains(t, []string{"", "up\nasked\n"}, out.String(), "it was asked to end, not killed")
		})
	}
}

// processes lists the ids of those whose command line has the text.
func processes(t *testing.T, text string) []int {
	t.Helper()
	var out []int
	for _, l := range snapshot(t) {
		if rest, found := strings.CutPrefix(l, "process "); found && strings.Contains(rest, text) {
			id, _, _ := strings.Cut(rest, " ")
			pid, err := strconv.Atoi(id)
			require.NoError(t, err)
			out = append(out, pid)
		}
	}
	return out
}

func TestRunEndsWithItsInternet(t *testing.T) {
	state := t.TempDir()
	leavesNothing(t, state, func() {
		w := world.New(world.Config{State: state})
		ended := make(chan error, 1)
		go func() {
			_, err := w.Run(t.Context(), []string{"sleep", "infinity"}, world.Stdio{})
			ended <- err
		}()
		select {
		case <-w.Ready():
		case err := <-ended:
			require.Fail(t, "it never was ready", "%v", err)
		}
		servers := processes(t, "world child internet")
		require.Len(t, servers, 1)
		require.NoError(t, syscall.Kill(servers[0], syscall.SIGKILL))
		err := <-ended
		require.ErrorContains(t, err, "the simulated internet ended")
		require.ErrorContains(t, err, "killed")
	})
}

// maker starts a process that makes a world whose command says "up" and sleeps.
func maker(t *testing.T, state string) (*exec.Cmd, *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, r.Close()) })
	// Daemons make groups in their group, of which a killed run leaves them all.
	cmd := exec.Command(self(t), "maker", state, "sh", "-c", "mkdir -p /sys/fs/cgroup/pids/a/b && echo up && sleep infinity")
	cmd.Stdout = w
	require.NoError(t, cmd.Start())
	require.NoError(t, w.Close())
	return cmd, r
}

func TestSignalsEndTheRun(t *testing.T) {
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(signal.String(), func(t *testing.T) {
			state := t.TempDir()
			leavesNothing(t, state, func() {
				cmd, out := maker(t, state)
				_, err := out.Read(make([]byte, 3))
				require.NoError(t, err)
				require.NoError(t, cmd.Process.Signal(signal))
				var exit *exec.ExitError
				require.ErrorAs(t, cmd.Wait(), &exit)
				require.Equal(t, 99, exit.ExitCode(), "it ended by itself, with an error")
			})
		})
	}
}

// A killed run cannot clean up: its processes go at once, the rest with the next run.
func TestKilledRunIsRemovedByTheNext(t *testing.T) {
	state, drawn := t.TempDir(), moments(t)
	before := snapshot(t)
	for i := range 8 {
		cmd, out := maker(t, state)
		if i%2 == 0 {
			_, err := out.Read(make([]byte, 3))
			require.NoError(t, err)
		} else {
			time.Sleep(time.Duration(drawn.Int64N(int64(300 * time.Millisecond)))) // any point of its start
		}
		require.NoError(t, cmd.Process.Kill())
		var exit *exec.ExitError
		require.ErrorAs(t, cmd.Wait(), &exit)
		await.True(t, func() bool { return len(processes(t, "sleep infinity"))+len(processes(t, "world child")) == 0 },
			"its processes die with it")
		if i%2 == 0 {
			entries, err := os.ReadDir(state)
			require.NoError(t, err)
			require.NotEmpty(t, entries, "or this test shows nothing")
			require.NotEmpty(t, hostsnapshot.Diff(before, snapshot(t)), "or this test shows nothing")
		}
	}
	leavesNothingNew(t, before, state)
}

func leavesNothingNew(t *testing.T, before []string, state string) {
	t.Helper()
	_, err := world.New(world.Config{State: state}).Run(t.Context(), []string{"true"}, world.Stdio{})
	require.NoError(t, err)
	require.Empty(t, hostsnapshot.Diff(before, snapshot(t)))
	entries, err := os.ReadDir(state)
	require.NoError(t, err)
	require.Empty(t, entries)
}

func TestKeptStateStays(t *testing.T) {
	state := t.TempDir()
	_, err := world.New(world.Config{State: state, Keep: true}).Run(t.Context(), []string{"sh", "-c", "echo kept >/var/lib/docker/file"}, world.Stdio{})
	require.NoError(t, err)
	for range 2 {
		found, err := filepath.Glob(filepath.Join(state, world.Prefix+"*", "fs/var/lib/docker/file"))
		require.NoError(t, err)
		require.Len(t, found, 1)
		content, err := os.ReadFile(found[0])
		require.NoError(t, err)
		require.Equal(t, "kept\n", string(content))
		_, err = world.New(world.Config{State: state}).Run(t.Context(), []string{"true"}, world.Stdio{})
		require.NoError(t, err)
	}
}

// Only what a run has made is ever swept away.
func TestStrangersInTheStateDirectoryStay(t *testing.T) {
	state := t.TempDir()
	for _, name := range []string{"nestlab-world-mine", "nestlab-world-1-0000000g", "other"} {
		require.NoError(t, os.Mkdir(filepath.Join(state, name), 0o755))
	}
	left := filepath.Join(state, "nestlab-world-1-00000000")
	require.NoError(t, os.Mkdir(left, 0o755))
	_, err := world.New(world.Config{State: state}).Run(t.Context(), []string{"true"}, world.Stdio{})
	require.NoError(t, err)
	entries, err := os.ReadDir(state)
	require.NoError(t, err)
	require.Len(t, entries, 3)
	require.NoDirExists(t, left)
}

// What the runner's daemons and their set-up write is not the machine's.
func TestMachineKeepsItsFiles(t *testing.T) {
	covered := []string{"/var/lib/docker", "/var/lib/containerd", "/etc/docker", "/var/lib/lxd", "/var/log/lxd", "/var/cache/lxd", "/var/lib/lxcfs"}
	read := func() map[string]string {
		out := map[string]string{}
		for _, file := range []string{"/etc/resolv.conf", "/etc/ssl/certs/ca-certificates.crt"} {
			content, err := os.ReadFile(file)
			if err != nil && !errors.Is(err, os.ErrNotExist) {
				require.NoError(t, err)
			}
			out[file] = string(content)
		}
		for _, dir := range covered {
			entries, err := os.ReadDir(dir)
			out[dir] = fmt.Sprint(entries, err)
		}
		return out
	}
	before := read()
	var script bytes.Buffer
	for _, dir := range covered {
		script.WriteString("echo x >" + dir + "/nestlab-test || exit 1\n")
	}
	code, out := run(t, world.Config{}, "sh", "-c", script.String())
	require.Zero(t, code, out)
	require.Equal(t, before, read())
	for _, dir := range covered {
		require.NoFileExists(t, dir+"/nestlab-test")
	}
}
