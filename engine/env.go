package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// mirrorVariable tells tests where the mirror is on the host's loopback.
const mirrorVariable = "NESTLAB_MIRROR"

// printEnv prints what a shell evaluates to use the engine.
func printEnv(ctx context.Context, c cache) error {
	lines, err := envLines(ctx, c, os.LookupEnv)
	if err != nil {
		return err
	}
	for _, l := range lines {
		fmt.Println(l)
	}
	return nil
}

// envLines are export lines for a POSIX shell, and nothing else. An engine that
// is there already needs at most the value that names it.
func envLines(ctx context.Context, c cache, lookup func(string) (string, bool)) ([]string, error) {
	var lines []string
	if e, ok := detect(ctx, c, lookup); ok {
		for _, x := range e.exports {
			lines = append(lines, export(x[0], x[1]))
		}
		return lines, nil
	}
	st, alive, err := c.running()
	if err != nil {
		return nil, err
	}
	if !alive || !c.answers() {
		return nil, errors.New("there is no engine: run make engine first")
	}
	lines = append(lines,
		export(runnerHost, "unix://"+c.socket()),
		export(mirrorVariable, st.Mirror),
		export("DO_NOT_TRACK", "1"),
		export("DAGGER_NO_NAG", "1"))
	path, _ := lookup("PATH")
	if !slices.Contains(filepath.SplitList(path), c.path("bin")) {
		lines = append(lines, "export PATH="+quote(c.path("bin"))+`:"$PATH"`)
	}
	return lines, nil
}

func export(name, value string) string { return "export " + name + "=" + quote(value) }

// quote makes any text one word of a POSIX shell, with nothing in it expanded.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// engineEnv is the engine's environment beyond its fixed part: the Go proxy,
// for the builds of modules, and the machine's proxies. The mirror's names must
// not go through a proxy: it would find the public registries.
func engineEnv(g goSettings, lookup func(string) (string, bool)) []string {
	env := []string{"_DAGGER_ENGINE_SYSTEMENV_GOPROXY=" + g.GOPROXY}
	proxies := proxyEnv(lookup)
	if len(proxies) == 0 {
		return env
	}
	direct := append([]string{"localhost", "127.0.0.1", dockerHubHost}, mirroredRegistries...)
	for _, p := range proxies {
		name, value, _ := strings.Cut(p, "=")
		if strings.EqualFold(name, "NO_PROXY") {
			direct = append(direct, value)
			continue
		}
		env = append(env, p)
	}
	all := strings.Join(slices.Compact(direct), ",")
	return append(env, "NO_PROXY="+all, "no_proxy="+all)
}
