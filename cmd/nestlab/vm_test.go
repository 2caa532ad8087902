package main

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/vm"
)

func TestVMRunSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	socket := filepath.Join(t.TempDir(), "lxd.socket")
	elsewhere := []string{"--lxd", "https://192.0.2.1:8443", "--client-cert", "c", "--client-key", "k", "--image", "x"}
	for _, c := range []struct {
		name string
		args []string
		want string
	}{
		{"environment", []string{"--environments", "dind", "--image", "x"}, `unknown environment "dind": vm has runner, lxd-container, lxd-vm`},
		{"no image", []string{"--lxd", socket}, "--image is missing"},
		{"change without a control", []string{"--lxd", socket, "--image", "x", "--environments", "lxd-vm", "--intervene"}, "needs runner"},
		{"https without a key", []string{"--lxd", "https://lxd:8443", "--image", "x"}, "client certificate"},
		{"this machine and another's LXD", append(slices.Clip(elsewhere), "--environments", "runner,lxd-vm"),
			"runner is this machine, and LXD at https://192.0.2.1:8443 runs on another"},
		{"a change here for another's LXD", append(slices.Clip(elsewhere), "--intervene"),
			"--intervene changes this machine, and LXD at https://192.0.2.1:8443 runs on another"},
		{"this machine and a member", []string{"--lxd", socket, "--member", "m2", "--image", "x", "--environments", "runner"},
			"runner is this machine, and the cluster member m2 may be another"},
		{"targets", []string{"--lxd", socket, "--image", "x", "--targets", "none"}, "none"},
		{"family", []string{"--lxd", socket, "--image", "x", "--family", "v6"}, `unknown family "v6": use one of all, v4`},
		{"device", []string{"--lxd", socket, "--image", "x", "--device", "eth0"}, `"eth0" has no KEY=VALUE`},
		{"a device's network", []string{"--lxd", socket, "--image", "x", "--device", "eth0,network=br0"}, "name the network with --network"},
		{"a device of none", []string{"--environments", "runner", "--device", "eth0,mtu=1400"}, "none is asked for"},
		{"a family of none", []string{"--environments", "runner", "--family", "v4"}, "none is asked for"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			// There are no such targets: what is not refused before runs nothing.
			_, _, err := executed(t, newVMCommand(), append([]string{"run", "--targets", "none"}, c.args...)...)
			require.ErrorContains(t, err, c.want)
			require.Equal(t, exitUsage, exitCode(err))
		})
	}
}

// A socket that is not there is told at once, before the machine is probed.
func TestVMRunWithoutAnLXD(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	_, _, err := executed(t, newVMCommand(), "run", "--lxd", filepath.Join(dir, "none"), "--image", "x", "--out", filepath.Join(dir, "out"))
	require.ErrorContains(t, err, "install it (snap install lxd; Debian: apt-get install lxd), or name its socket with --lxd")
	require.Equal(t, exitUnobserved, exitCode(err))
	require.NoDirExists(t, filepath.Join(dir, "out"))
}

func TestVMLook(t *testing.T) {
	t.Parallel()
	out, _, err := executed(t, newVMCommand(), "look", "--resolver-timeout", "10ms")
	require.NoError(t, err)
	var s vm.Sight
	require.NoError(t, json.Unmarshal([]byte(out), &s))
}
