//go:build e2e && emulated

package e2e

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/model"
)

// The comparison in a machine of its own, with unpatched LXD and its virtual machine:
// what `make run-emulated` does.
func TestEmulated(t *testing.T) {
	run, dir := export(t, "simulate", "--runner", "emulated", "--environments", model.EnvRunner, "--environments", "lxd-*")
	requireHealthy(t, results(run, model.EnvRunner, "", model.RoundBaseline), true)
	requireProven(t, run, model.EnvLXDContainer, model.EnvLXDVM)
	requireOwnKernels(t, run, []string{model.EnvLXDContainer}, []string{model.EnvLXDVM})
	require.FileExists(t, dir+"/journal.jsonl")
}

// The whole comparison there: its three virtual machines take turns.
func TestWholeEmulated(t *testing.T) {
	run, _ := export(t, "simulate", "--runner", "emulated")
	for _, p := range places {
		t.Run(p.environment+" "+p.setup, func(t *testing.T) {
			requireHealthy(t, results(run, p.environment, p.setup, model.RoundBaseline), p.docker)
		})
	}
	requireProven(t, run, model.EnvLXDContainer, model.EnvLXDVM, model.EnvQEMUBridge)
	t.Run(model.EnvQEMUUser, func(t *testing.T) {
		requireHealthy(t, results(run, model.EnvQEMUUser, "", model.RoundBaseline), false)
	})
	requireSetups(t, run)
	requireOwnKernels(t, run,
		[]string{model.EnvContainer, model.EnvDind, model.EnvDindInner, model.EnvLXDContainer},
		[]string{model.EnvLXDVM, model.EnvQEMUBridge, model.EnvQEMUUser})
}

// requireProven checks that Docker's policy is what these fail by, and nothing else.
func requireProven(t *testing.T, run model.Run, bridged ...string) {
	t.Helper()
	for _, environment := range bridged {
		t.Run(environment, func(t *testing.T) {
			requireDropped(t, results(run, environment, "", model.RoundBaseline))
			requireHealthy(t, results(run, environment, "", model.RoundIntervened), false)
			requireDropped(t, results(run, environment, "", model.RoundReverted))
		})
	}
	require.Equal(t, "docker-forward-drop", run.Diagnosis.Cause)
	require.Equal(t, model.Proven, run.Diagnosis.Confidence)
	require.Equal(t, bridged, run.Diagnosis.Environments)
	require.Empty(t, run.Notes)
	require.Empty(t, run.GuestNotes)
}

// requireOwnKernels checks that the runner is a machine with Debian's stock kernel,
// which containers share, and that virtual machines have one of their own.
func requireOwnKernels(t *testing.T, run model.Run, containers, machines []string) {
	t.Helper()
	kernels := map[string]string{}
	for _, f := range run.Facts {
		kernels[f.Environment] = f.Kernel
	}
	require.Regexp(t, `^Linux 6\.1\.0-\d+-amd64 `, kernels[model.EnvRunner])
	for _, container := range containers {
		require.Equal(t, kernels[model.EnvRunner], kernels[container])
	}
	for _, machine := range machines {
		require.Contains(t, kernels[machine], "cloud-amd64")
	}
}
