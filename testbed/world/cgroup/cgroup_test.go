package cgroup_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/testbed/world/cgroup"
	"github.com/nestlab/nestlab/testbed/world/hostsnapshot"
)

func TestMain(m *testing.M) {
	if code, done := hostsnapshot.Isolate(); done {
		os.Exit(code)
	}
	os.Exit(m.Run())
}

var names = regexp.MustCompile(`^nestlab-cgroup-[a-z]+$`)

// roots opens every hierarchy, as far as these tests see it.
func roots(t *testing.T) map[string]string {
	t.Helper()
	hierarchies, err := cgroup.Hierarchies()
	require.NoError(t, err)
	require.NotEmpty(t, hierarchies)
	out := map[string]string{}
	for _, h := range hierarchies {
		f, err := h.Open()
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, f.Close()) })
		out[h.String()] = filepath.Join("/proc/self/fd", strconv.Itoa(int(f.Fd())))
	}
	return out
}

// exists counts the hierarchies that have the group.
func exists(t *testing.T, name string) int {
	t.Helper()
	count := 0
	for _, root := range roots(t) {
		if _, err := os.Stat(filepath.Join(root, name)); err == nil {
			count++
		}
	}
	return count
}

func newGroups(t *testing.T, name string) cgroup.Groups {
	t.Helper()
	g, err := cgroup.New(name, names)
	require.NoError(t, err)
	return g
}

// sleeper is a process in the groups, below a cgroup of its own where that can be.
func sleeper(t *testing.T, g cgroup.Groups) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("sleep", "60")
	require.NoError(t, cmd.Start())
	for _, dir := range g.Directories() {
		sub := filepath.Join("/proc/self/fd", strconv.Itoa(int(dir.Fd())), "sub")
		require.NoError(t, os.Mkdir(sub, 0o755))
		for _, setting := range []string{"cpuset.cpus", "cpuset.mems"} {
			if value, err := os.ReadFile(filepath.Join(filepath.Dir(sub), setting)); err == nil {
				require.NoError(t, os.WriteFile(filepath.Join(sub, setting), value, 0o644))
			}
		}
		require.NoError(t, os.WriteFile(filepath.Join(sub, "cgroup.procs"), []byte(strconv.Itoa(cmd.Process.Pid)), 0o644))
	}
	return cmd
}

func TestGroupsComeAndGo(t *testing.T) {
	before, err := hostsnapshot.Take()
	require.NoError(t, err)
	g := newGroups(t, "nestlab-cgroup-a")
	require.Equal(t, len(roots(t)), exists(t, "nestlab-cgroup-a"), "one in every hierarchy")
	require.NoError(t, g.Remove())
	after, err := hostsnapshot.Take()
	require.NoError(t, err)
	require.Empty(t, hostsnapshot.Diff(before, after))
}

func TestRemoveKillsWhatIsLeft(t *testing.T) {
	g := newGroups(t, "nestlab-cgroup-b")
	cmd := sleeper(t, g)
	require.NoError(t, g.Remove())
	require.ErrorContains(t, cmd.Wait(), "killed")
	require.Zero(t, exists(t, "nestlab-cgroup-b"))
}

func TestGroupsOfTheLivingStay(t *testing.T) {
	first := newGroups(t, "nestlab-cgroup-c")
	cmd := sleeper(t, first)
	second := newGroups(t, "nestlab-cgroup-d")
	require.Equal(t, len(roots(t)), exists(t, "nestlab-cgroup-c"), "its owner lives")
	require.NoError(t, second.Remove())
	require.NoError(t, cmd.Process.Signal(os.Interrupt), "so does its process")
	require.NoError(t, first.Remove())
	require.Error(t, cmd.Wait())
}

func TestGroupsOfTheDeadGo(t *testing.T) {
	dead := newGroups(t, "nestlab-cgroup-e")
	cmd := sleeper(t, dead)
	for _, dir := range dead.Directories() { // as its owner's end would
		require.NoError(t, dir.Close())
	}
	stranger := filepath.Join(roots(t)["pids"], "nestlab-other")
	require.NoError(t, os.Mkdir(stranger, 0o755))
	t.Cleanup(func() { require.NoError(t, os.Remove(stranger)) })
	next := newGroups(t, "nestlab-cgroup-f")
	require.Zero(t, exists(t, "nestlab-cgroup-e"))
	require.DirExists(t, stranger, "its name is not one of ours")
	require.ErrorContains(t, cmd.Wait(), "killed")
	require.NoError(t, next.Remove())
}

// These tests see a root that is not the kernel's, as a container does: its
// controllers are handed out for as long as there are groups.
func TestControllersAreHandedOut(t *testing.T) {
	root, found := roots(t)["unified"]
	if !found { // version 1 alone: there is nothing to hand out
		return
	}
	fields := func(name string) string {
		content, err := os.ReadFile(filepath.Join(root, name))
		require.NoError(t, err)
		return strings.TrimSpace(string(content))
	}
	available := fields("cgroup.controllers")
	first, second := newGroups(t, "nestlab-cgroup-g"), newGroups(t, "nestlab-cgroup-h")
	require.Equal(t, available, fields("cgroup.subtree_control"))
	if available != "" {
		require.Empty(t, fields("cgroup.procs"), "a root that hands out has no processes")
	}
	require.NoError(t, first.Remove())
	require.Equal(t, available, fields("cgroup.subtree_control"), "the second still needs them")
	require.NoError(t, second.Remove())
	require.Empty(t, fields("cgroup.subtree_control"))
	require.Contains(t, strings.Fields(fields("cgroup.procs")), strconv.Itoa(os.Getpid()), "and the processes are back")
}

func TestLockTellsTheLiving(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "dir")
	none, err := cgroup.Lock(dir)
	require.NoError(t, err)
	require.Nil(t, none, "it is not there")
	held, err := cgroup.Make(dir, 0o700)
	require.NoError(t, err)
	other, err := cgroup.Lock(dir)
	require.NoError(t, err)
	require.Nil(t, other, "it is held")
	require.NoError(t, held.Close())
	other, err = cgroup.Lock(dir)
	require.NoError(t, err)
	require.NotNil(t, other)
	require.NoError(t, other.Close())
	_, err = cgroup.Make(filepath.Join(dir, "a", "b"), 0o700)
	require.ErrorIs(t, err, os.ErrNotExist)
}
