package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func vars(pairs ...string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1], true
			}
		}
		return "", false
	}
}

// FuzzQuote has a real shell read every text back.
func FuzzQuote(f *testing.F) {
	for _, s := range []string{"", "plain", "two words", "it's", `"$HOME" $(reboot) ` + "`id`", "a\nb\t\\", "-n", "ünï", "!!*?[~", " edges ", "\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if strings.ContainsRune(s, 0) {
			return // no environment can hold it
		}
		out, err := exec.Command("sh", "-c", export("X", s)+"\nprintf %s. \"$X\"").Output()
		require.NoError(t, err)
		require.Equal(t, s+".", string(out))
	})
}

func TestEnvLinesNameAnEngineThatIsThere(t *testing.T) {
	dir := t.TempDir()
	fake(t, dir, "dagger", "exit 0")
	t.Setenv("PATH", dir)
	lines, err := envLines(t.Context(), cache{"/c"}, vars("PATH", dir, runnerHost, "tcp://it's:1"))
	require.NoError(t, err)
	require.Equal(t, []string{`export _EXPERIMENTAL_DAGGER_RUNNER_HOST='tcp://it'\''s:1'`}, lines)
}

func TestEnvLinesWantARunningEngine(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, err := envLines(t.Context(), cache{t.TempDir()}, vars("PATH", "/nowhere"))
	require.EqualError(t, err, "there is no engine: run make engine first")
}

func TestTheEngineGetsTheMachinesProxies(t *testing.T) {
	t.Parallel()
	g := goSettings{GOPROXY: "https://go.test"}
	require.Equal(t, []string{"_DAGGER_ENGINE_SYSTEMENV_GOPROXY=https://go.test"}, engineEnv(g, vars()))
	env := engineEnv(g, vars("https_proxy", "http://proxy.test:3128", "NO_PROXY", "inner.test"))
	require.Contains(t, env, "HTTPS_PROXY=http://proxy.test:3128")
	require.Contains(t, env, "https_proxy=http://proxy.test:3128")
	direct := strings.Split(strings.TrimPrefix(env[len(env)-1], "no_proxy="), ",")
	require.Contains(t, direct, "inner.test")
	require.Contains(t, direct, "registry-1.docker.io", "a pull must not go out through the proxy")
}

func TestTheCacheIsWhereTheUserSays(t *testing.T) {
	c, err := openCache(vars("NESTLAB_CACHE", "/there"))
	require.NoError(t, err)
	require.Equal(t, cache{"/there/engine"}, c)
	t.Setenv("XDG_CACHE_HOME", "/home/x/.cache")
	c, err = openCache(vars())
	require.NoError(t, err)
	require.Equal(t, cache{"/home/x/.cache/nestlab/engine"}, c)
	_, err = openCache(vars("NESTLAB_CACHE", "/"+strings.Repeat("x", 100)))
	require.ErrorContains(t, err, "set NESTLAB_CACHE to a shorter directory")
}

// fake puts a command into a directory.
func fake(t *testing.T, dir, name, script string) {
	t.Helper()
	require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+script+"\n"), 0o755))
}
