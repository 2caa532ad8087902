package main

import (
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/observe/observetest"
	"github.com/nestlab/nestlab/testbed/nettest"
)

// poorly has the doctor run without what hosts may lack.
var poorly = map[string]func(*testing.T, *exec.Cmd){
	"no nft, no iptables, no ip": func(_ *testing.T, cmd *exec.Cmd) { cmd.Env = append(cmd.Env, "PATH=/nestlab/none") },
	"a kernel without BTF": func(t *testing.T, cmd *exec.Cmd) {
		t.Helper()
		shell, err := exec.LookPath("sh")
		require.NoError(t, err)
		cmd.Args = append([]string{"sh", "-c", `mount -t tmpfs none /sys/kernel/btf && exec "$@"`, "sh", cmd.Path}, cmd.Args[1:]...)
		cmd.Path = shell
	},
}

// What a host lacks takes evidence away, and not the answer.
func TestDoctorOnPoorHosts(t *testing.T) {
	t.Parallel()
	if !nettest.Isolated(t) {
		return
	}
	h := newTestHost(t)
	for name, lacks := range map[string]string{"a policy that counts nothing": "no nft, no iptables, no ip", "no forwarding from one bridge": "a kernel without BTF"} {
		ill := hostFaults()[slices.IndexFunc(hostFaults(), func(f hostFault) bool { return f.name == name })]
		h.nft(ill.nft)
		for _, c := range ill.commands {
			w := strings.Fields(c)
			h.run(w[0], w[1:]...)
		}
		run, code, said := h.examined(h.doctor("--json", "--verbose"), poorly[lacks])
		d := run.Diagnosis
		require.Equal(t, exitBad, code, "%s, %s: %s", name, lacks, said)
		require.Contains(t, ill.causes, d.Cause, "%s, %s: %s", name, lacks, said)
		require.Equal(t, model.Proven, d.Confidence, "%s, %s: %s", name, lacks, d.Summary)
		h.repair(ill)
	}
	for _, b := range []string{observetest.Bridge, docker, libvirt} {
		h.run("ip", "link", "delete", b)
	}
	run, code, said := h.examine()
	require.Zero(t, code, said)
	require.Equal(t, model.Healthy, run.Diagnosis.Verdict, said)
	require.Contains(t, said, "no bridge", said)
}
