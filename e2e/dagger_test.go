//go:build e2e

// Package e2e calls the module on a real Dagger engine, as a user does. `make
// test` brings the engine up and sets the tag.
package e2e

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/report"
	"github.com/nestlab/nestlab/testbed/await"
)

// root is the repository.
func root(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("..")
	require.NoError(t, err)
	return dir
}

// sessionLost is what Dagger 0.19.7 says to one of two calls that ask for the same at
// once, when the other, whose session it had the engine ask in, ends first. It
// says nothing of the module: such a call is made again.
const sessionLost = "failed to get requester session"

// daggerCLI runs the engine's command line in the repository.
func daggerCLI(t *testing.T, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	ctx := await.Context(t)
	for range 10 {
		cmd := exec.CommandContext(ctx, "dagger", args...)
		cmd.Dir = root(t)
		var out, log bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &log
		err = cmd.Run()
		stdout, stderr = out.String(), log.String()
		if err == nil || !strings.Contains(stderr, sessionLost) {
			break
		}
		t.Logf("dagger %s: the engine lost the session: %s", strings.Join(args, " "), tail(stderr))
	}
	return stdout, stderr, err
}

// try calls the module and returns what it printed.
func try(t *testing.T, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	start := time.Now()
	stdout, stderr, err = daggerCLI(t, append([]string{"--progress", "plain", "call"}, args...)...)
	t.Logf("dagger call %s: %.1f s", strings.Join(args, " "), time.Since(start).Seconds())
	t.Cleanup(func() {
		if t.Failed() {
			keepLast(fmt.Sprintf("%s: dagger call %s: %v\n%s\n%s", t.Name(), strings.Join(args, " "), err, tail(stderr), tail(stdout)))
		}
	})
	return stdout, stderr, err
}

// last are the calls of tests that failed. They are told at the end, where who reads only
// that finds them.
var last struct {
	sync.Mutex
	calls []string
}

func keepLast(call string) {
	last.Lock()
	defer last.Unlock()
	last.calls = append(last.calls, call)
}

// call is try where an error fails the test.
func call(t *testing.T, args ...string) string {
	t.Helper()
	stdout, stderr, err := try(t, args...)
	require.NoError(t, err, "dagger call %v:\n%s", args, tail(stderr))
	return stdout
}

// tail is the end of a long log.
func tail(s string) string {
	const most = 4 << 10
	if len(s) > most {
		return "…" + s[len(s)-most:]
	}
	return s
}

// export calls the module and reads the run that it wrote.
func export(t *testing.T, args ...string) (model.Run, string) {
	t.Helper()
	dir := t.TempDir()
	call(t, append(args, "export", "export", "--path", dir)...)
	text, err := os.ReadFile(filepath.Join(dir, "run.json"))
	require.NoError(t, err)
	require.NoError(t, report.Validate(text), "run.json does not fit its schema")
	run, err := report.Decode(bytes.NewReader(text))
	require.NoError(t, err)
	return run, dir
}

// results are those of one place in one round.
func results(run model.Run, environment, setup, round string) []model.Result {
	var found []model.Result
	for _, r := range run.Results {
		if r.Environment == environment && r.Setup == setup && r.Round == round {
			found = append(found, r)
		}
	}
	return found
}

// places are the ones that a simulation has, with whether Docker is in them.
var places = []struct {
	environment, setup string
	docker             bool
}{
	{model.EnvRunner, "", true},
	{model.EnvContainer, "", false},
	{model.EnvDind, "distro/build-time", true},
	{model.EnvDindInner, "distro/build-time", false},
	{model.EnvDind, "distro/runtime", true},
	{model.EnvDindInner, "distro/runtime", false},
}

// requireHealthy checks that everything passes in a place, but the echo that the
// platform drops.
func requireHealthy(t *testing.T, found []model.Result, docker bool) {
	t.Helper()
	require.NotEmpty(t, found)
	seen := map[string]bool{}
	for _, r := range found {
		seen[r.Probe] = true
		if r.Probe == model.ProbeKVM { // on the runner alone, and as the machine has it
			require.Contains(t, []model.Outcome{model.Pass, model.Skip}, r.Outcome, "%s: %s", r.Ref(), r.Detail.Message)
			continue
		}
		want := model.Pass
		switch {
		case r.Probe == model.ProbeICMP:
			want = model.XFail
		case !docker && isDocker(r.Probe):
			want = model.Skip
		}
		require.Equal(t, want, r.Outcome, "%s: %s", r.Ref(), r.Detail.Message)
	}
	for _, p := range model.Probes() {
		if p != model.ProbeStart && p != model.ProbeDockerInstall && p != model.ProbeKVM {
			require.True(t, seen[p], "no result of %s", p)
		}
	}
}

func isDocker(p string) bool {
	switch p {
	case model.ProbeDockerPing, model.ProbeRegistryPull, model.ProbeDockerRun, model.ProbeDockerBuild, model.ProbeDockerNetwork:
		return true
	}
	return false
}
