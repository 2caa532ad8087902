package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/report"
	"github.com/nestlab/nestlab/testbed/nettest"
)

// guestDir has the names of a guest's files.
func guestDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"vmlinuz", "initrd", "root.img"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), nil, 0o644))
	}
	return dir
}

func TestVMRunAsksForTheGuest(t *testing.T) {
	t.Parallel()
	half := guestDir(t)
	require.NoError(t, os.Remove(filepath.Join(half, "initrd")))
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"none": {[]string{"--environments", "runner,qemu-user"},
			"--guest is missing: qemu-user boots what is in a directory, which `dagger call guest export --path guest` makes"},
		"half of one":                   {[]string{"--environments", "qemu-bridge", "--guest", half}, "initrd: no such file or directory; `dagger call guest"},
		"another's LXD":                 {[]string{"--guest", guestDir(t), "--image", "x", "--member", "m2", "--environments", "lxd-vm"}, "--guest makes guests on this machine"},
		"and for LXD's image beside it": {[]string{"--guest", guestDir(t)}, "--image is missing"},
		"scenarios of LXD's":            {[]string{"--guest", guestDir(t), "--scenarios", "ping"}, "--image is missing"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, _, err := executed(t, newVMCommand(), append([]string{"run", "--out", t.TempDir()}, c.args...)...)
			require.ErrorContains(t, err, c.want)
			require.Equal(t, exitUsage, exitCode(err))
		})
	}
}

// Without QEMU and without the bridge each guest says what to do, no LXD is asked
// for anything, and nothing is left.
func TestVMRunWithoutQEMU(t *testing.T) {
	if !nettest.Isolated(t) { // a run looks for taps that are left
		return
	}
	tmp, out := t.TempDir(), t.TempDir()
	t.Setenv("PATH", t.TempDir())
	t.Setenv("TMPDIR", tmp)
	_, stderr, err := executed(t, newVMCommand(), "run", "--environments", "qemu-bridge,qemu-user", "--guest", guestDir(t), "--bridge", "nl-none",
		"--lxd", "/no/lxd.socket", "--targets", targetFile(t, "tcp: [\"127.0.0.1:1\"]\n"), "--platform", "unknown", "--out", out)
	require.NoError(t, err, stderr)
	f, err := os.Open(filepath.Join(out, "run.json"))
	require.NoError(t, err)
	defer f.Close()
	run, err := report.Decode(f)
	require.NoError(t, err)
	require.Empty(t, run.Notes)
	said := map[string]string{}
	for _, r := range run.Results {
		require.Equal(t, model.NotStarted, r.Reason)
		said[r.Environment] = r.Detail.Message
	}
	require.Contains(t, said["qemu-user"], "`apt-get install qemu-system-x86` brings it")
	require.Contains(t, said["qemu-bridge"], "`nestlab vm run --bridge NAME` takes another")
	left, err := os.ReadDir(tmp)
	require.NoError(t, err)
	require.Empty(t, left)
}

// What killed runs left is removed where there is no LXD too.
func TestVMGCWithoutLXD(t *testing.T) {
	if !nettest.Isolated(t) {
		return
	}
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	left := filepath.Join(tmp, "nestlab-guests-1")
	require.NoError(t, os.MkdirAll(filepath.Join(left, "qemu-user"), 0o755))
	out, _, err := executed(t, newVMCommand(), "gc", "--no-lxd", "--dry-run")
	require.NoError(t, err)
	require.Contains(t, out, "would remove directory "+left+"\n")
	require.DirExists(t, left)
	out, _, err = executed(t, newVMCommand(), "gc", "--no-lxd")
	require.NoError(t, err)
	require.Contains(t, out, "removed directory "+left+"\n")
	require.NoDirExists(t, left)
}
