//go:build e2e

package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// fakeDagger exports two files, and fails after the first one where it is told to.
const fakeDagger = `#!/bin/sh
for dir; do :; done
mkdir -p "$dir" && echo new >"$dir/report.txt" && echo new >"$dir/summary.txt"
[ -z "$FAIL" ] || exit 1
case $* in
*accuracy*) mkdir -p "$dir/cases" && echo new >"$dir/accuracy.txt" && echo new >"$dir/cases/one" ;;
*) echo new >"$dir/diagnosis.txt" ;;
esac
`

// What a call of make left in out/ is replaced by the next one as a whole, or not at all.
func TestResultsAreReplacedWhenTheyAreThere(t *testing.T) {
	t.Parallel()
	for _, target := range []string{"run", "run-emulated", "accuracy"} {
		t.Run(target, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			text, err := os.ReadFile("../Makefile")
			require.NoError(t, err)
			write(t, filepath.Join(dir, "Makefile"), string(text), 0o644)
			write(t, filepath.Join(dir, "bin", "dagger"), fakeDagger, 0o755)
			out := filepath.Join(dir, "out")
			former := []string{"report.txt", "summary.txt", "diagnosis.txt", "accuracy.txt", "error.txt", "cases/one", "cases/two", "bench.json"}
			for _, name := range former {
				write(t, filepath.Join(out, name), "old\n", 0o644)
			}
			call := func(fail string) (string, error) {
				cmd := exec.CommandContext(t.Context(), "make", "-o", "engine", "with_engine=true", "progress=", target)
				cmd.Dir = dir
				cmd.Env = append(os.Environ(), "PATH="+filepath.Join(dir, "bin")+":"+os.Getenv("PATH"), "FAIL="+fail)
				text, err := cmd.CombinedOutput()
				return string(text), err
			}
			said, err := call("yes")
			require.Error(t, err)
			for _, name := range former {
				require.Equal(t, "old\n", read(t, filepath.Join(out, name)), name)
			}
			require.Contains(t, said, "what is in out/ is not of this call")
			said, err = call("")
			require.NoError(t, err, said)
			require.Equal(t, "new\n", read(t, filepath.Join(out, "report.txt")))
			require.NoFileExists(t, filepath.Join(out, "error.txt"))
			require.NoDirExists(t, filepath.Join(out, ".new"))
			require.FileExists(t, filepath.Join(out, "bench.json"))
			if target == "accuracy" {
				require.NoFileExists(t, filepath.Join(out, "cases", "two"), "a case of an earlier measurement would be counted again")
			}
		})
	}
}

func write(t *testing.T, name, text string, mode os.FileMode) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o755))
	require.NoError(t, os.WriteFile(name, []byte(text), mode))
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	require.NoError(t, err, name)
	return string(text)
}
