//go:build e2e

package e2e

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"dagger.io/dagger"
	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/report"
)

// debian is a container with the one binary, as the module exports it.
func debian(t *testing.T) *dagger.Container {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "nestlab")
	call(t, "host-step", "export", "--path", binary)
	client := connect(t)
	return client.Container().From("debian:bookworm").
		WithFile("/usr/local/bin/nestlab", client.Host().File(binary)).
		WithEnvVariable("NOW", time.Now().String())
}

var anyCode = dagger.ContainerWithExecOpts{Expect: dagger.ReturnTypeAny}

// requireFails runs a command that must fail, with an error that says these.
func requireFails(t *testing.T, ctr *dagger.Container, code int, says ...string) {
	t.Helper()
	got, err := ctr.ExitCode(t.Context())
	require.NoError(t, err)
	text, err := ctr.Stderr(t.Context())
	require.NoError(t, err)
	require.Equal(t, code, got, text)
	for _, s := range says {
		require.Contains(t, text, s)
	}
}

func TestMissingCapability(t *testing.T) {
	t.Parallel()
	ctr := debian(t)
	t.Run("the simulated runner", func(t *testing.T) {
		requireFails(t, ctr.WithExec([]string{"nestlab", "simulate"}, anyCode), 1, "nestlab: ", "permitted")
	})
	t.Run("not root", func(t *testing.T) {
		requireFails(t, ctr.WithUser("nobody").WithExec([]string{"nestlab", "simulate", "--out", "/tmp/out"}, anyCode), 1, "needs root")
	})
	t.Run("Docker in a container without privileges", func(t *testing.T) {
		run := ctr.
			WithExec([]string{"nestlab", "dind", "install"}).
			WithExec([]string{"nestlab", "dind", "run", "--out", "/out", "--platform", "unknown", "--targets", "simulated"}, anyCode)
		text, err := run.File("/out/run.json").Contents(t.Context())
		require.NoError(t, err, "what was observed is lost")
		decoded, err := report.Decode(strings.NewReader(text))
		require.NoError(t, err)
		found := results(decoded, model.EnvDind, "distro/build-time", model.RoundBaseline)
		require.Len(t, found, 1)
		require.Equal(t, model.NotStarted, found[0].Reason)
		require.Contains(t, found[0].Detail.Message, "dockerd")
		require.Contains(t, found[0].Detail.Message, "privileged")
	})
}

// A daemon that dies again and again leaves results of all that did not need it,
// and of the rest that it was down or lost.
func TestDeadDaemon(t *testing.T) {
	t.Parallel()
	const (
		dying = "#!/bin/sh\nexec timeout -s KILL 5 /usr/sbin/dockerd \"$@\"\n"
		image = "registry.lab.test/library/hello:1"
	)
	privileged := dagger.ContainerWithExecOpts{Expect: dagger.ReturnTypeAny, InsecureRootCapabilities: true}
	ctr := debian(t)
	internet := ctr.WithExposedPort(53).WithExposedPort(80).WithExposedPort(443).
		AsService(dagger.ContainerAsServiceOpts{
			Args:                     []string{"nestlab", "world", "internet", "--quiet", "--single-address", "--ca-out", "/run/ca.crt"},
			InsecureRootCapabilities: true,
		})
	ctr = ctr.
		WithExec([]string{"nestlab", "dind", "install"}).
		WithNewFile("/usr/local/bin/dockerd", dying, dagger.ContainerWithNewFileOpts{Permissions: 0o755}).
		WithMountedTemp("/var/lib/docker").
		WithServiceBinding("internet", internet).
		WithExec([]string{
			"nestlab", "enter", "--targets", "/targets.yaml", "--",
			"nestlab", "dind", "run", "--out", "/out", "--platform", "simulated", "--targets", "/targets.yaml",
			"--first-image", image, "--inner-image", image,
		}, privileged)
	out := t.TempDir()
	_, err := ctr.Directory("/out").Export(t.Context(), out)
	require.NoError(t, err, "what was observed is lost")
	text, err := os.ReadFile(filepath.Join(out, "run.json"))
	require.NoError(t, err)
	run, err := report.Decode(bytes.NewReader(text))
	require.NoError(t, err)
	ok, lines := report.Verdict(run)
	require.False(t, ok, "%v", lines)
	for _, r := range results(run, model.EnvDind, "distro/build-time", model.RoundBaseline) {
		if r.Probe == model.ProbeDNSA {
			require.Equal(t, model.Pass, r.Outcome, "the daemon's death took other results with it: %s", r.Detail.Message)
		}
	}
	journal, err := os.ReadFile(filepath.Join(out, "journal.jsonl"))
	require.NoError(t, err)
	folded, err := report.Fold(bytes.NewReader(journal))
	require.NoError(t, err)
	require.Equal(t, len(run.Results), len(folded.Results))
}
