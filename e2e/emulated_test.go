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

// The whole comparison in a machine of its own: unpatched LXD with a virtual
// machine, stock privileged containers, and no shim.
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
	requireOwnKernels(t, run)
	require.FileExists(t, dir+"/journal.jsonl")
}

// requireOwnKernels checks that the runner is a machine with Debian's stock kernel,
// that its guests run under its KVM, and that each has a kernel of its own.
func requireOwnKernels(t *testing.T, run model.Run) {
	t.Helper()
	kernels := map[string]string{}
	for _, f := range run.Facts {
		kernels[f.Environment] = f.Kernel
	}
	require.Regexp(t, `^6\.1\.0-\d+-amd64`, kernels[model.EnvRunner])
	require.Equal(t, kernels[model.EnvRunner], kernels[model.EnvLXDContainer])
	for _, environment := range []string{model.EnvLXDVM, model.EnvQEMUBridge, model.EnvQEMUUser} {
		require.Contains(t, kernels[environment], "cloud-amd64", environment)
	}
	for _, s := range run.Setups {
		if s.Step == model.StepStart && (s.Environment == model.EnvQEMUBridge || s.Environment == model.EnvQEMUUser) {
			require.Equal(t, "kvm", s.Note, s.Environment)
		}
	}
}
