package main

import (
	"encoding/json"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/vm"
)

func TestVMRunSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	socket := filepath.Join(t.TempDir(), "lxd.socket")
	for _, c := range []struct {
		name string
		args []string
		want string
	}{
		{"environment", []string{"--environments", "dind", "--image", "x"}, `unknown environment "dind": the host step has runner, lxd-container, lxd-vm`},
		{"no image", []string{"--lxd", socket}, "--image is missing"},
		{"change without a control", []string{"--lxd", socket, "--image", "x", "--environments", "lxd-vm", "--intervene"}, "needs runner"},
		{"https without a key", []string{"--lxd", "https://lxd:8443", "--image", "x"}, "client certificate"},
		{"targets", []string{"--lxd", socket, "--image", "x", "--targets", "none"}, "none"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, _, err := executed(t, newVMCommand(), append([]string{"run"}, c.args...)...)
			require.ErrorContains(t, err, c.want)
			require.Equal(t, exitUsage, exitCode(err))
		})
	}
}

func TestVMLook(t *testing.T) {
	t.Parallel()
	out, _, err := executed(t, newVMCommand(), "look", "--resolver-timeout", "10ms")
	require.NoError(t, err)
	var s vm.Sight
	require.NoError(t, json.Unmarshal([]byte(out), &s))
}
