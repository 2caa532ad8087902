package main

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/model"
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
		{"environment", []string{"--environments", "dind", "--image", "x"}, `unknown environment "dind": the host step has runner, lxd-container, lxd-vm`},
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
		{"family", []string{"--lxd", socket, "--image", "x", "--family", "v6"}, `unknown family "v6": use all or v4`},
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

// The machine itself is among what is observed by default only where it is LXD's.
func TestVMRunIsOfOneMachine(t *testing.T) {
	t.Parallel()
	https := func(address string) vm.Remote { return vm.Remote{Address: address, ClientCert: "c", ClientKey: "k"} }
	instances := []string{model.EnvLXDContainer, model.EnvLXDVM}
	all := append([]string{model.EnvRunner}, instances...)
	for name, c := range map[string]struct {
		remote             vm.Remote
		all, withScenarios []string
	}{
		"a socket":       {vm.Remote{Address: "/run/lxd.socket"}, all, []string{model.EnvRunner}},
		"this very host": {https("https://127.0.0.1:8443"), all, []string{model.EnvRunner}},
		"another host":   {https("https://192.0.2.1:8443"), instances, nil},
		"a name":         {https("https://lxd.example:8443"), instances, nil},
		"a member":       {vm.Remote{Address: "/run/lxd.socket", Member: "m2"}, instances, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := &vmRun{family: familyAll, remote: c.remote, image: "x"}
			require.NoError(t, v.validate())
			require.Equal(t, c.all, v.environments)
			v = &vmRun{family: familyAll, remote: c.remote, image: "x", scenarios: []string{"baseline"}}
			require.NoError(t, v.validate())
			require.ElementsMatch(t, c.withScenarios, v.environments)
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
