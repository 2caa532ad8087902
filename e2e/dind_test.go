//go:build e2e

package e2e

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/spec"
	"github.com/nestlab/nestlab/testbed/await"
)

// TestExample does what a reader of the README does: in an empty directory, with nothing
// but the example's lines.
func TestExample(t *testing.T) {
	wantsDind(t)
	t.Parallel()
	dir := t.TempDir()
	// Dagger installs no module from outside of the caller's own repository.
	clone := filepath.Join(dir, "nestlab")
	copyModule(t, clone)
	inDir(t, dir, "git", "init", "--quiet")
	// dagger init would ask for the text of one.
	require.NoError(t, os.WriteFile(filepath.Join(dir, "LICENSE"), []byte("none\n"), 0o644))
	inDir(t, dir, "dagger", "init", "--sdk", "go", "--name", "example", "--source", ".")
	inDir(t, dir, "dagger", "install", "./nestlab")
	text, err := os.ReadFile(filepath.Join(root(t), "examples", "go", "main.go"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "main.go"), text, 0o644))
	for range 2 {
		start := time.Now()
		require.Equal(t, "hello from a build\n", inDir(t, dir, "dagger", "--progress", "plain", "call", "test"))
		t.Logf("dagger call test: %.1f s", time.Since(start).Seconds())
	}
	readme, err := os.ReadFile(filepath.Join(root(t), "README.md"))
	require.NoError(t, err)
	_, function, found := strings.Cut(string(text), "// Test runs")
	require.True(t, found)
	require.Contains(t, string(readme), function, "the README shows other lines than the example that is tested")
}

// copyModule copies the files that git knows, as a clone has them.
func copyModule(t *testing.T, to string) {
	t.Helper()
	for name := range strings.FieldsSeq(inDir(t, root(t), "git", "ls-files", "--cached", "--others", "--exclude-standard")) {
		text, err := os.ReadFile(filepath.Join(root(t), name))
		if os.IsNotExist(err) {
			continue // deleted
		}
		require.NoError(t, err)
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(to, name)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(to, name), text, 0o755))
	}
}

// wantsDind skips what hands out daemons unless it is asked for. Engine 0.19.7 releases
// references twice where such services end, and one in some fifty times ends itself by that
// (a panic in Container.WithExec): all other calls on it would hang.
func wantsDind(t *testing.T) {
	t.Helper()
	if os.Getenv("NESTLAB_TEST_DIND") == "" {
		t.Skip("make test-dind runs it, with an engine for itself")
	}
}

// inDir runs a command in a directory and returns what it printed.
func inDir(t *testing.T, dir, program string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(await.Context(t), program, args...)
	cmd.Dir = dir
	var out, log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &log
	require.NoError(t, cmd.Run(), "%s %v:\n%s", program, args, tail(log.String()))
	return out.String()
}

// stranger calls a function of the module tests, which uses nestlab as others do.
func stranger(t *testing.T, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	start := time.Now()
	stdout, stderr, err = daggerCLI(t, append([]string{"--progress", "plain", "call", "-m", "tests"}, args...)...)
	t.Logf("tests %s: %.1f s", strings.Join(args, " "), time.Since(start).Seconds())
	return stdout, stderr, err
}

func mustStranger(t *testing.T, args ...string) string {
	t.Helper()
	stdout, stderr, err := stranger(t, args...)
	require.NoError(t, err, tail(stderr))
	return stdout
}

// TestDind tries what the object hands out, on real daemons.
func TestDind(t *testing.T) {
	wantsDind(t)
	t.Parallel()
	t.Run("each call asks a daemon of its own", func(t *testing.T) {
		first, second := mustStranger(t, "identity"), mustStranger(t, "identity")
		require.NotEmpty(t, strings.TrimSpace(first))
		require.NotEqual(t, first, second)
	})
	t.Run("options", func(t *testing.T) {
		out := mustStranger(t, "options")
		for _, want := range []string{
			"tcp://docker:2376 docker\n", "vfs [http://mirror.invalid:5000/]", `"Secure":false`, "1400\n", "10.99.", "error during connect",
		} {
			require.Contains(t, out, want)
		}
	})
	t.Run("a published port", func(t *testing.T) {
		require.Equal(t, "example.com,docker docker\npublished\n", mustStranger(t, "published"))
	})
	t.Run("testcontainers-go", func(t *testing.T) {
		require.Regexp(t, `(?s)answered at http://docker:\d+\n.*Container terminated.*--- PASS: TestStart`, mustStranger(t, "testcontainers"))
	})
	t.Run("installed when it starts", func(t *testing.T) {
		require.Equal(t, "installed\n", mustStranger(t, "runtime"))
	})
	t.Run("an image built inside", func(t *testing.T) {
		require.Equal(t, "built inside\n", mustStranger(t, "built"))
	})
	t.Run("the same image", func(t *testing.T) {
		first := mustStranger(t, "image", "--salt", t.Name()+time.Now().String())
		require.True(t, strings.HasSuffix(first, " 0\n"), first)
		require.Equal(t, first, mustStranger(t, "image", "--salt", time.Now().String()))
	})
	t.Run("a daemon that does not start says why", func(t *testing.T) {
		_, stderr, err := try(t, "dind", "--address-pool", "10.87.0.0/24", "container", "with-exec", "--args", "docker,version", "stdout")
		require.Error(t, err)
		_, words, found := strings.Cut(stderr, "start Docker-in-Docker: ")
		require.True(t, found, tail(stderr))
		require.Contains(t, words, "no available network") // dockerd's last words
		require.Contains(t, stderr, "cause: Docker finds no free network for its bridge (docker-address-pools)")
	})
}

// What a data volume has is there for the next daemon, and for one alone at a time.
func TestDindData(t *testing.T) {
	wantsDind(t)
	t.Parallel()
	volume := "e2e-" + time.Now().UTC().Format("20060102-150405")
	log := func(name, script string) (string, string) {
		stdout, stderr, err := stranger(t, "kept", "--volume", volume, "--script", script)
		require.NoError(t, err, "%s: %s", name, tail(stderr))
		return stdout, stderr
	}
	_, stderr := log("first", "docker tag base kept:1; docker volume create data")
	require.Contains(t, stderr, "image base: loaded")
	stdout, stderr := log("second", "docker run --rm kept:1 echo kept; docker volume ls --quiet; docker rmi kept:1")
	require.Contains(t, stdout, "kept\ndata\n")
	require.Contains(t, stderr, "image base: there already")
	_, stderr, err := stranger(t, "second", "--volume", volume)
	require.Error(t, err, tail(stderr))
	require.Contains(t, stderr, "another daemon uses it: data volume "+volume)
}

// TestDindMethods installs Docker in every way that the module has, from a site such as
// Docker's own, at both phases.
func TestDindMethods(t *testing.T) {
	wantsDind(t)
	t.Parallel()
	for _, method := range spec.Method("").Values() {
		for _, phase := range spec.Phase("").Values() {
			t.Run(spec.SetupName(method, phase), func(t *testing.T) {
				require.Regexp(t, `^\d+\.\d+\.\d+\S*\nbuilt\n$`, mustStranger(t, "method", "--method", string(method), "--phase", string(phase)))
			})
		}
	}
	for method, want := range map[spec.Method]string{
		spec.DockerCE: "check the key that http://package-mirror/linux/debian/gpg gives: its fingerprint is ",
		spec.Script:   "it is another file than was reviewed, and was not used",
		spec.Static:   "it is another file than was reviewed, and was not used",
	} {
		t.Run("not what is pinned for "+string(method), func(t *testing.T) {
			_, stderr, err := stranger(t, "method", "--method", string(method), "--phase", string(spec.BuildTime), "--wrong")
			require.Error(t, err)
			require.Contains(t, stderr, want)
		})
	}
}
