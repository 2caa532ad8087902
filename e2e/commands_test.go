//go:build e2e

package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/mattn/go-shellwords"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// workflow is what this test reads of a workflow file.
type workflow struct {
	Jobs map[string]struct {
		Steps []struct {
			Run string `yaml:"run"`
		} `yaml:"steps"`
	} `yaml:"jobs"`
}

// What the workflows and the README tell people to type is understood by the
// real module and the real binary.
func TestWrittenCommands(t *testing.T) {
	t.Parallel()
	binary := filepath.Join(t.TempDir(), "nestlab")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "./cmd/nestlab")
	build.Dir = root(t)
	out, err := build.CombinedOutput()
	require.NoError(t, err, string(out))
	lines := append(workflowLines(t), readmeLines(t)...)
	calls := 0
	for _, line := range lines {
		words, err := shellwords.Parse(line)
		require.NoError(t, err, line)
		if len(words) > 0 && words[0] == "sudo" {
			words = words[1:]
		}
		switch {
		case len(words) > 1 && words[0] == "dagger":
			calls++
			requireCall(t, line, words[1:])
		case len(words) > 1 && filepath.Base(words[0]) == "nestlab":
			calls++
			out, err := exec.CommandContext(t.Context(), binary, append(words[1:], "--help")...).CombinedOutput()
			require.NoError(t, err, "%s\n%s", line, out)
		}
	}
	require.Greater(t, calls, 8, "too few commands were found in %v", lines)
}

// requireCall asks for the help of a call. A wrong argument is refused; a wrong
// function answers with the help of the one before it.
func requireCall(t *testing.T, line string, words []string) {
	t.Helper()
	var functions, args []string
	flag := false
	for i := 0; i < len(words); i++ {
		switch {
		case words[i] == "-m": // the module's published name: here it is the checkout
			i++
			continue
		case strings.HasPrefix(words[i], "-"):
			flag = !strings.Contains(words[i], "=") && words[i] != "--no-intervene"
		case flag:
			flag = false
		case words[i] != "call":
			functions = append(functions, words[i])
		}
		args = append(args, words[i])
	}
	cmd := exec.CommandContext(t.Context(), "dagger", append([]string{"--silent"}, append(args, "--help")...)...)
	cmd.Dir = root(t)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s\n%s", line, out)
	require.Contains(t, string(out), "dagger call "+strings.Join(functions, " "), line)
}

func workflowLines(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("../.github/workflows/*.yml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	var lines []string
	for _, f := range files {
		text, err := os.ReadFile(f)
		require.NoError(t, err)
		var w workflow
		require.NoError(t, yaml.Unmarshal(text, &w), f)
		for _, job := range w.Jobs {
			for _, step := range job.Steps {
				lines = append(lines, strings.Split(step.Run, "\n")...)
			}
		}
	}
	return lines
}

// typed are the lines of the README that a reader types.
var typed = regexp.MustCompile(`(?m)^\s*(?:\$ |- run: |)((?:sudo )?(?:\./nestlab|dagger .*call) .*)$`)

func readmeLines(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile("../README.md")
	require.NoError(t, err)
	var lines []string
	for _, m := range typed.FindAllStringSubmatch(string(text), -1) {
		lines = append(lines, m[1])
	}
	require.NotEmpty(t, lines)
	return lines
}
