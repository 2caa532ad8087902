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

// The comparison in a machine of its own, with unpatched LXD and its virtual
// machine: what `make run-emulated` does.
func TestEmulated(t *testing.T) {
	run, dir := export(t, "simulate", "--runner", "emulated", "--environments", model.EnvRunner, "--environments", "lxd-*")
	requireHealthy(t, results(run, model.EnvRunner, "", model.RoundBaseline), true)
	bridged := []string{model.EnvLXDContainer, model.EnvLXDVM}
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
	requireOwnKernels(t, run)
	require.FileExists(t, dir+"/journal.jsonl")
}

// requireOwnKernels checks that the runner is a machine with Debian's stock kernel,
// which its containers share and its virtual machine does not.
func requireOwnKernels(t *testing.T, run model.Run) {
	t.Helper()
	kernels := map[string]string{}
	for _, f := range run.Facts {
		kernels[f.Environment] = f.Kernel
	}
	require.Regexp(t, `^Linux 6\.1\.0-\d+-amd64 `, kernels[model.EnvRunner])
	require.Equal(t, kernels[model.EnvRunner], kernels[model.EnvLXDContainer])
	require.Contains(t, kernels[model.EnvLXDVM], "cloud-amd64")
}
