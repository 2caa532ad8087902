package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// roots are those of the machine's cgroup hierarchies.
func roots(t *testing.T) []string {
	t.Helper()
	files, err := rootCgroups("cgroup.procs")
	require.NoError(t, err)
	var dirs []string
	for _, f := range files {
		dirs = append(dirs, filepath.Dir(f))
	}
	require.NotEmpty(t, dirs)
	return dirs
}

// groups makes cgroups of that name in every hierarchy, with some in them, as a runner
// with Docker does.
func groups(t *testing.T, name string) []string {
	t.Helper()
	require.Zero(t, os.Geteuid(), "cgroups need root")
	var made []string
	for _, root := range roots(t) {
		dir := filepath.Join(root, name)
		require.NoError(t, os.MkdirAll(filepath.Join(dir, "docker", "0123"), 0o755))
		require.NoError(t, os.MkdirAll(filepath.Join(dir, "lxc.payload", "init.scope"), 0o755))
		made = append(made, dir)
		t.Cleanup(func() {
			_, err := removeTree(dir)
			require.NoError(t, err)
		})
	}
	return made
}

func worldName() string { return fmt.Sprintf("nestlab-world-%d-%08x", os.Getpid(), rand.Uint32()) }

// What a killed run left in the host's cgroups goes; a living run's stays, and so
// does what only looks like one.
func TestKilledWorldsAreRemoved(t *testing.T) {
	dead, tests, strange := groups(t, worldName()), groups(t, fmt.Sprintf("nestlab-test-%d", os.Getpid())), groups(t, worldName()+"-mine")
	living := groups(t, worldName())
	for _, dir := range living {
		f, err := os.Open(dir)
		require.NoError(t, err)
		defer f.Close()
		require.NoError(t, unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB))
	}
	c := cache{filepath.Join(t.TempDir(), "engine")}
	require.NoError(t, down(t.Context(), c), "there is no engine of ours")
	for _, dir := range append(dead, tests...) {
		require.NoDirExists(t, dir)
	}
	require.NoError(t, c.prepare())
	dead = groups(t, worldName())
	require.NoError(t, down(t.Context(), c), "none is running")
	for _, dir := range dead {
		require.NoDirExists(t, dir)
	}
	for _, dir := range append(living, strange...) {
		require.DirExists(t, filepath.Join(dir, "docker", "0123"))
	}
}

// Processes are a sign of life as well: nothing of theirs is ended.
func TestWorldsWithProcessesStay(t *testing.T) {
	said := &safeBuffer{}
	dirs := groups(t, worldName())
	group := dirs[len(dirs)-1] // of version 2, where there is one
	if strings.HasSuffix(filepath.Dir(group), "cpuset") {
		group = dirs[0] // a new cpuset takes no process
	}
	cmd := exec.Command("sleep", "60")
	require.NoError(t, cmd.Start())
	require.NoError(t, os.WriteFile(filepath.Join(group, "docker", "0123", "cgroup.procs"), fmt.Append(nil, cmd.Process.Pid), 0o644))
	require.NoError(t, removeWorlds(t.Context(), newProgress(said)))
	require.True(t, said.contains("stay, for processes are in them: "+group), "%s", &said.b)
	require.DirExists(t, filepath.Join(group, "docker", "0123"))
	require.NoError(t, cmd.Process.Kill())
	require.Error(t, cmd.Wait())
	require.NoError(t, removeWorlds(t.Context(), quiet()))
	for _, dir := range dirs {
		require.NoDirExists(t, dir)
	}
}
