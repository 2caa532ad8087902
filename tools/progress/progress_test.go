package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The progress of a whole run is a line for each step that took its time, with the time
// since the start, and nestlab's own lines.
func TestOneLineAStep(t *testing.T) {
	t.Parallel()
	log, err := os.ReadFile("testdata/run.log")
	require.NoError(t, err)
	now := time.Unix(0, 0)
	var out strings.Builder
	f := newFilter(&out, func() time.Time { return now })
	now = now.Add(95 * time.Second)
	for _, b := range log { // it comes in pieces
		_, err := f.Write([]byte{b})
		require.NoError(t, err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	require.Less(t, len(lines), strings.Count(string(log), "\n")*2/3)
	require.Contains(t, lines, "[1:35] initializing module: done in 1m10s")
	require.Contains(t, lines, "[1:35] runner: probing (baseline)")
	require.Contains(t, lines, "[1:35] lxd-container: 22 results in 15.8 s")
	require.NotContains(t, out.String(), "\x1b")
	require.Contains(t, out.String(), "\nHealthy: nothing failed unexpectedly.\n")
	require.NotContains(t, out.String(), "CACHED")
	for _, l := range lines {
		if l == "Healthy: nothing failed unexpectedly." {
			continue
		}
		require.Regexp(t, `^\[1:35\] \S`, l)
		require.LessOrEqual(t, len([]rune(l)), widest+30, l)
	}
}

func TestFailuresAreShownWhole(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		script string
		code   int
		shown  []string
	}{
		"failed step":  {`echo '7   : ┆ withExec false' >&2; echo '7   : ┆ withExec false ERROR [0.1s]' >&2; echo 'why it failed' >&2; exit 3`, 3, []string{"] false: failed after 0.1s\n", "why it failed\n", "The whole progress is in "}},
		"short and ok": {`echo '7   : ┆ withExec true' >&2; echo '7   : ┆ withExec true DONE [0.1s]' >&2`, 0, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			errors, err := os.Create(filepath.Join(dir, "stderr"))
			require.NoError(t, err)
			log := filepath.Join(dir, "logs", "whole.log")
			code, err := run(t.Context(), []string{"--log", log, "--", "sh", "-c", c.script}, errors, errors)
			require.NoError(t, err)
			require.NoError(t, errors.Close())
			require.Equal(t, c.code, code)
			shown, err := os.ReadFile(errors.Name())
			require.NoError(t, err)
			for _, s := range c.shown {
				require.Contains(t, string(shown), s)
			}
			require.Equal(t, c.shown == nil, len(shown) == 0, "%s", shown)
			whole, err := os.ReadFile(log)
			require.NoError(t, err)
			require.Contains(t, string(whole), "7   : ┆ withExec")
		})
	}
}

func TestWrongUse(t *testing.T) {
	t.Parallel()
	code, err := run(t.Context(), nil, os.Stdout, os.Stderr)
	require.Equal(t, 2, code)
	require.ErrorContains(t, err, "name the command to run")
	code, err = run(t.Context(), []string{"--log", filepath.Join(t.TempDir(), "x"), "--", "/does/not/exist"}, os.Stdout, os.Stderr)
	require.Equal(t, 1, code)
	require.ErrorContains(t, err, "run the command")
}
