package world_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/testbed/world"
)

func writeSpec(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, []byte(content), 0o640))
	return path
}

func read(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(content)
}

func TestDropCapabilities(t *testing.T) {
	t.Parallel()
	missing := []string{"CAP_SYS_RESOURCE", "CAP_MAC_ADMIN"}
	for _, test := range []struct{ name, before, after string }{
		{
			"a bundle, and all that is unknown or large in it",
			`{"process":{"capabilities":{"bounding":["CAP_CHOWN","CAP_SYS_RESOURCE"],"effective":["CAP_SYS_RESOURCE"],"ambient":[]},"x":"<&>"},"n":9223372036854775807,"f":1.50,"new":{"a":[null,true]}}`,
			`{"process":{"capabilities":{"bounding":["CAP_CHOWN"],"effective":[],"ambient":[]},"x":"<&>"},"n":9223372036854775807,"f":1.50,"new":{"a":[null,true]}}`,
		},
		{
			"a process of exec",
			`{"args":["a"],"capabilities":{"permitted":["CAP_MAC_ADMIN","CAP_KILL","CAP_SYS_RESOURCE"]}}`,
			`{"args":["a"],"capabilities":{"permitted":["CAP_KILL"]}}`,
		},
		{"nothing to drop", `{"process": {"capabilities": {"bounding": ["CAP_CHOWN"]}}}`, `{"process": {"capabilities": {"bounding": ["CAP_CHOWN"]}}}`},
		{"no capabilities", `{"process":{"args":[]}}`, `{"process":{"args":[]}}`},
		{"null", `{"process":{"capabilities":null}}`, `{"process":{"capabilities":null}}`},
		{"a null set", `{"process":{"capabilities":{"ambient":null,"bounding":["CAP_SYS_RESOURCE"]}}}`, `{"process":{"capabilities":{"ambient":null,"bounding":[]}}}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			path := writeSpec(t, "config.json", test.before)
			require.NoError(t, world.DropCapabilities(path, missing))
			require.JSONEq(t, test.after, read(t, path))
			for _, exact := range []string{"9223372036854775807", "1.50", "<&>"} {
				require.Equal(t, strings.Contains(test.before, exact), strings.Contains(read(t, path), exact), exact)
			}
			info, err := os.Stat(path)
			require.NoError(t, err)
			require.Equal(t, os.FileMode(0o640), info.Mode())
			entries, err := os.ReadDir(filepath.Dir(path))
			require.NoError(t, err)
			require.Len(t, entries, 1, "nothing else is left beside it")
		})
	}
}

func TestDropCapabilitiesRefusesWhatIsNoSpecification(t *testing.T) {
	t.Parallel()
	for content, want := range map[string]string{
		"":                                 "not a JSON object",
		"{":                                "not a JSON object",
		"[]":                               "not a JSON object",
		"{} {}":                            "more than one",
		`{"process":1}`:                    "process is not an object",
		`{"process":{"capabilities":[]}}`:  "capabilities is not an object",
		`{"capabilities":{"bounding":{}}}`: "bounding is not a list",
	} {
		path := writeSpec(t, "config.json", content)
		err := world.DropCapabilities(path, []string{"CAP_SYS_RESOURCE"})
		require.ErrorContains(t, err, want, content)
		require.ErrorContains(t, err, path)
		require.Equal(t, content, read(t, path))
	}
	require.ErrorContains(t, world.DropCapabilities("/nowhere/config.json", nil), "/nowhere/config.json")
}

// Whatever a bundle holds: either it is refused, or only the one capability is gone.
func FuzzDropCapabilities(f *testing.F) {
	for _, seed := range []string{`{"ociVersion":"1.2.1","process":{"capabilities":{"bounding":["CAP_CHOWN","CAP_SYS_RESOURCE"],"ambient":["CAP_SYS_RESOURCE"]}}}`, `{"process":{"capabilities":{"a":[1,"CAP_SYS_RESOURCE"]}}}`, "{}", "null", `{"a":1e999}`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, content string) {
		path := writeSpec(t, "config.json", content)
		if err := world.DropCapabilities(path, []string{"CAP_SYS_RESOURCE"}); err != nil {
			require.Equal(t, content, read(t, path))
			return
		}
		after := read(t, path)
		require.True(t, json.Valid([]byte(after)))
		require.NoError(t, world.DropCapabilities(path, []string{"CAP_SYS_RESOURCE"}))
		require.Equal(t, after, read(t, path), "there is nothing more to drop")
	})
}

// fakeRunc is a runc that tells how it was called, and what its bundle asks for.
func fakeRunc(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	script := "#!/bin/sh\nprintf '%s\\n' \"$@\"\nexit 23\n"
	require.NoError(t, os.WriteFile(filepath.Join(dir, "runc"), []byte(script), 0o755))
	return dir
}

// shim calls this binary by the shim's name, as dockerd's containerd does.
func shim(t *testing.T, path, dir string, args ...string) (string, error) {
	t.Helper()
	link := filepath.Join(t.TempDir(), world.RuntimeShimName)
	require.NoError(t, os.Symlink(self(t), link))
	cmd := exec.CommandContext(t.Context(), link, args...)
	cmd.Env, cmd.Dir = append(os.Environ(), "PATH="+path), dir
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// bundle asks for every capability that there could be, and one more.
func bundle(t *testing.T) (dir string, missing string) {
	t.Helper()
	lacking, err := world.MissingCapabilities()
	require.NoError(t, err)
	missing = strings.Join(lacking, `","`)
	path := writeSpec(t, "config.json", fmt.Sprintf(`{"process":{"capabilities":{"bounding":["CAP_CHOWN","%s"]}}}`, missing))
	return filepath.Dir(path), missing
}

func TestShimHandsOverToRunc(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		args func(bundle string) []string
		cwd  bool // the bundle is the working directory
		kept bool // the command asks for nothing
	}{
		{"create as containerd calls it", func(b string) []string {
			return []string{"--root", "/run/x", "--log", "/dev/null", "--log-format", "json", "create", "--bundle", b, "--pid-file", "/x", "id"}
		}, false, false},
		{"joined", func(b string) []string { return []string{"--root=/run/x", "run", "--bundle=" + b, "id"} }, false, false},
		{"short", func(b string) []string { return []string{"--debug", "create", "-b", b, "id"} }, false, false},
		{"working directory", func(string) []string { return []string{"run", "id"} }, true, false},
		{"exec with a file", func(b string) []string { return []string{"exec", "--process", b + "/config.json", "id"} }, false, false},
		{"exec without", func(string) []string { return []string{"exec", "id", "sh"} }, true, true},
		{"another command", func(b string) []string { return []string{"--root", "create", "delete", "--bundle", b, "id"} }, true, true},
		{"nothing", func(string) []string { return nil }, true, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			dir, missing := bundle(t)
			before, cwd := read(t, dir+"/config.json"), t.TempDir()
			if test.cwd {
				cwd = dir
			}
			args := test.args(dir)
			out, err := shim(t, fakeRunc(t), cwd, args...)
			var exit *exec.ExitError
			require.ErrorAs(t, err, &exit)
			require.Equal(t, 23, exit.ExitCode(), "runc's own code: %s", out)
			require.Equal(t, strings.Join(args, "\n")+"\n", out, "runc's own arguments")
			switch after := read(t, dir+"/config.json"); {
			case test.kept || missing == "":
				require.Equal(t, before, after)
			default:
				require.NotContains(t, after, missing)
				require.Contains(t, after, "CAP_CHOWN")
			}
		})
	}
}

func TestShimSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	out, err := shim(t, fakeRunc(t), "/", "create", "--bundle", "/nowhere", "id")
	require.Error(t, err)
	require.Contains(t, out, "nestlab-runc: read the container's specification")
	out, err = shim(t, t.TempDir(), "/", "list")
	require.Error(t, err)
	require.Contains(t, out, "find runc")
	broken := writeSpec(t, "config.json", "{")
	out, err = shim(t, fakeRunc(t), filepath.Dir(broken), "run", "id")
	require.Error(t, err)
	require.Contains(t, out, "not a JSON object")
}

func TestDockerRuntimeIsThereWhereItIsNeeded(t *testing.T) {
	t.Parallel()
	missing, err := world.MissingCapabilities()
	require.NoError(t, err)
	dir := t.TempDir()
	for range 2 { // it may be asked again
		settings, needed, err := world.DockerRuntime(dir)
		require.NoError(t, err)
		require.Equal(t, len(missing) > 0, needed)
		if !needed {
			require.Nil(t, settings)
			return
		}
		path := filepath.Join(dir, world.RuntimeShimName)
		require.Equal(t, map[string]any{
			"default-runtime": "nestlab-runc", "runtimes": map[string]any{"nestlab-runc": map[string]any{"path": path}},
		}, settings)
		target, err := filepath.EvalSymlinks(path)
		require.NoError(t, err)
		require.Equal(t, self(t), target)
	}
	_, _, err = world.DockerRuntime("/nowhere")
	require.ErrorContains(t, err, "/nowhere")
}

// The kernel's own word on what is missing.
func TestMissingCapabilitiesAreTheKernels(t *testing.T) {
	t.Parallel()
	missing, err := world.MissingCapabilities()
	require.NoError(t, err)
	status := read(t, "/proc/self/status")
	_, rest, found := strings.Cut(status, "CapBnd:\t")
	require.True(t, found)
	var bounding uint64
	_, err = fmt.Fscanf(bytes.NewBufferString(rest), "%x", &bounding)
	require.NoError(t, err)
	const sysResource = 24 // capability.h
	require.Equal(t, bounding&(1<<sysResource) == 0, slices.Contains(missing, "CAP_SYS_RESOURCE"))
	require.NotContains(t, missing, "CAP_SYS_ADMIN", "these tests run with it")
}
