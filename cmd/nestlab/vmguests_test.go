package main

import (
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/nettest"
	"github.com/nestlab/nestlab/report"
	"github.com/nestlab/nestlab/scenario"
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

// What is asked for decides which environments there are, and whether LXD is asked.
func TestVMRunWithQEMUAlone(t *testing.T) {
	t.Parallel()
	guest := guestDir(t)
	all := []string{"runner", "lxd-container", "lxd-vm"}
	for name, c := range map[string]struct {
		v            vmRun
		environments []string
		lxd          bool
	}{
		"default":          {vmRun{family: familyAll, image: "x"}, all, true},
		"default, a guest": {vmRun{family: familyAll, image: "x", guests: guests{dir: guest}}, append(all, "qemu-bridge", "qemu-user"), true},
		"guests":           {vmRun{family: familyAll, environments: []string{"qemu-user"}, guests: guests{dir: guest}}, []string{"qemu-user"}, false},
		"their scenarios":  {vmRun{family: familyAll, scenarios: []string{"nic-models/*", "ping"}, environments: []string{"qemu-bridge"}, guests: guests{dir: guest}}, []string{"qemu-bridge"}, false},
		"cards":            {vmRun{family: familyAll, scenarios: []string{"nic-models"}, guests: guests{dir: guest}}, []string{"runner"}, false},
		"no guest":         {vmRun{family: familyAll, scenarios: []string{"nic-models"}}, []string{"runner"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := c.v
			v.remote.Address = "/lxd.socket"
			require.NoError(t, v.validate())
			require.Equal(t, c.environments, v.environments)
			lxd, err := v.wantsLXD()
			require.NoError(t, err)
			require.Equal(t, c.lxd, lxd)
		})
	}
}

// Scenarios that no guest is there for are skipped with the next step.
func TestVMRunSkipsScenariosWithoutAGuest(t *testing.T) {
	t.Parallel()
	v := vmRun{family: familyAll, scenarios: []string{scenario.UserMode}, environments: []string{"runner"}}
	lanes, skipped, err := v.scenarioLanes("nestlab", nil, nil)
	require.NoError(t, err)
	require.Empty(t, lanes[0])
	require.Empty(t, lanes[1])
	require.Len(t, skipped, 1)
	require.Equal(t, "it needs qemu-user, which is not to be had or not wanted here: give --guest DIR, which `dagger call guest export --path DIR` makes", skipped[0].Skip)
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

// A resolver on loopback is not one for guests; systemd-resolved says elsewhere
// which it asks.
func TestResolverForGuests(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
		return path
	}
	stub, real := file("stub", "nameserver 127.0.0.53\n"), file("real", "nameserver 192.0.2.53\n")
	for _, c := range []struct {
		files []string
		want  netip.Addr
	}{
		{[]string{stub, real}, netip.MustParseAddr("192.0.2.53")},
		{[]string{real, stub}, netip.MustParseAddr("192.0.2.53")},
		{[]string{stub, filepath.Join(dir, "none")}, netip.Addr{}},
	} {
		got, err := resolver(c.files...)
		require.NoError(t, err)
		require.Equal(t, c.want, got)
	}
	_, err := resolver(filepath.Join(dir, "none"), real)
	require.Error(t, err)
}
