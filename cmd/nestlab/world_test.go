package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWorldCommandsSayWhatIsWrong(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		args []string
		code int
		want string
	}{
		{"bad resolver", []string{"internet", "--resolver", "here"}, exitUsage, "--resolver"},
		{"bad address", []string{"internet", "--single-address", "--address", "here"}, exitUsage, "--address"},
		{"bad image", []string{"internet", "--image", "debian"}, exitUsage, "REPOSITORY:TAG=PATH"},
		{"bad image for a runner", []string{"run", "--image", "debian", "--", "true"}, exitUsage, "REPOSITORY:TAG=PATH"},
		{"no command", []string{"run"}, exitBad, "at least 1 arg"},
		{"no directory for the log", []string{"run", "--log", "/nowhere/log", "--", "true"}, exitBad, "/nowhere/log"},
		{"no packages given", []string{"apt-repo", "--out", "/nowhere"}, exitBad, "debs"},
		{"unknown role", []string{"child", "king"}, exitBad, "king"},
		{"no role", []string{"child"}, exitBad, "no role"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, _, err := executed(t, newWorldCommand(), test.args...)
			require.ErrorContains(t, err, test.want)
			require.Equal(t, test.code, exitCode(err))
		})
	}
}

func TestWorldMakesAnAptRepository(t *testing.T) {
	t.Parallel()
	root, debs, out := t.TempDir(), t.TempDir(), t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(root, "DEBIAN"), 0o755))
	control := "Package: nestlab-test\nVersion: 1\nArchitecture: amd64\nMaintainer: nestlab <nobody@lab.test>\nDescription: a test\n"
	require.NoError(t, os.WriteFile(filepath.Join(root, "DEBIAN", "control"), []byte(control), 0o644))
	said, err := exec.Command("dpkg-deb", "--build", root, filepath.Join(debs, "nestlab-test_1_amd64.deb")).CombinedOutput()
	require.NoError(t, err, "%s", said)
	_, _, err = executed(t, newWorldCommand(), "apt-repo", "--debs", debs, "--out", out)
	require.NoError(t, err)
	require.FileExists(t, filepath.Join(out, "dists/bookworm/Release"))
}
