//go:build e2e && emulated

package e2e

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/model"
)

// An emulated machine takes many times longer than this one.
func init() { limit = 3 * time.Hour }

// The whole comparison in a machine of its own, with unpatched LXD and its virtual
// machine: what `make run-emulated EMULATED='*'` does. Its three virtual machines take
// turns.
func TestEmulated(t *testing.T) {
	run, dir := export(t, "simulate", "--runner", "emulated")
	for _, p := range places {
		t.Run(p.environment+" "+p.setup, func(t *testing.T) {
			requireHealthy(t, results(run, p.environment, p.setup, model.RoundBaseline), p.docker)
		})
	}
	bridged := []string{model.EnvLXDContainer, model.EnvLXDVM, model.EnvQEMUBridge}
	for _, environment := range bridged {
		t.Run(environment, func(t *testing.T) {
			requireDropped(t, results(run, environment, "", model.RoundBaseline))
			requireHealthy(t, results(run, environment, "", model.RoundIntervened), false)
			requireDropped(t, results(run, environment, "", model.RoundReverted))
		})
	}
	t.Run(model.EnvQEMUUser, func(t *testing.T) {
		requireHealthy(t, results(run, model.EnvQEMUUser, "", model.RoundBaseline), false)
	})
	require.Equal(t, "docker-forward-drop", run.Diagnosis.Cause)
	require.Equal(t, model.Proven, run.Diagnosis.Confidence)
	require.Equal(t, bridged, run.Diagnosis.Environments)
	require.Empty(t, run.Notes)
	requireSetups(t, run)
	requireOwnKernels(t, run)
	require.FileExists(t, dir+"/journal.jsonl")
}

// requireOwnKernels checks that the runner is a machine with Debian's stock kernel,
// which its containers share and its virtual machines do not.
func requireOwnKernels(t *testing.T, run model.Run) {
	t.Helper()
	kernels := map[string]string{}
	for _, f := range run.Facts {
		kernels[f.Environment] = f.Kernel
	}
	require.Regexp(t, `^Linux 6\.1\.0-\d+-amd64 `, kernels[model.EnvRunner])
	for _, container := range []string{model.EnvContainer, model.EnvDind, model.EnvDindInner, model.EnvLXDContainer} {
		require.Equal(t, kernels[model.EnvRunner], kernels[container])
	}
	for _, machine := range []string{model.EnvLXDVM, model.EnvQEMUBridge, model.EnvQEMUUser} {
		require.Contains(t, kernels[machine], "cloud-amd64")
	}
}
