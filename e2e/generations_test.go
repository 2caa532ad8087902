//go:build e2e

package e2e

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/model"
)

// The later releases of Docker bring the same cause, which the same remedy proves.
func TestGenerationsOfDocker(t *testing.T) {
	t.Parallel()
	for suite, release := range map[string]string{"trixie": "26.", "sid": "2[89]."} {
		t.Run(suite, func(t *testing.T) {
			t.Parallel()
			run, dir := export(t, "simulate", "--docker-from", suite,
				"--environments", model.EnvRunner, "--environments", model.EnvLXDContainer)
			require.Equal(t, suite, run.Plan.DockerFrom)
			require.Regexp(t, "^"+release, dockerOf(run), "the Docker that runs is not the suite's")
			table, err := os.ReadFile(filepath.Join(dir, "report.txt"))
			require.NoError(t, err)
			require.Contains(t, string(table), dockerOf(run))
			requireHealthy(t, results(run, model.EnvRunner, "", model.RoundBaseline), true)
			requireDropped(t, results(run, model.EnvLXDContainer, "", model.RoundBaseline))
			requireHealthy(t, results(run, model.EnvLXDContainer, "", model.RoundIntervened), false)
			requireDropped(t, results(run, model.EnvLXDContainer, "", model.RoundReverted))
			require.Equal(t, "docker-forward-drop", run.Diagnosis.Cause)
			require.Equal(t, model.Proven, run.Diagnosis.Confidence, run.Diagnosis.Summary)
			require.Empty(t, run.Notes)
			require.Empty(t, run.GuestNotes)
		})
	}
}

// The remedy of which only Docker 28 and later know the key, over boots that are no
// more than dockerd and what it looks at: remedy/real says what is tested.
func TestTheRemedyOfLaterDocker(t *testing.T) {
	t.Parallel()
	testInRunner(t, "./remedy/real", "-test.run=.", "--docker-from", "sid")
}

func dockerOf(run model.Run) string {
	for _, f := range run.Facts {
		if f.Environment == model.EnvRunner && f.Docker != nil {
			return f.Docker.Version
		}
	}
	return ""
}
