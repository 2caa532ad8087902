//go:build e2e

package e2e

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/mattn/go-shellwords"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// workflow is what this test reads of the file of a workflow or an action.
type workflow struct {
	Jobs   map[string]steps
	Runs   steps
	Inputs map[string]struct{ Default string }
}

type steps struct {
	Steps []struct {
		Run string
		Env map[string]string
	}
}

// lines are the lines of a file's steps, with the defaults of an action's inputs.
func (w workflow) lines() []string {
	var lines []string
	for _, all := range append(slices.Collect(maps.Values(w.Jobs)), w.Runs) {
		for _, step := range all.Steps {
			lines = append(lines, strings.Split(os.Expand(step.Run, func(name string) string {
				for input, of := range w.Inputs {
					if step.Env[name] == "${{ inputs."+input+" }}" {
						return of.Default
					}
				}
				return "$" + name
			}), "\n")...)
		}
	}
	return lines
}

// What the workflows, the actions, the README and the guides tell people to type is understood by the
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
		words := command(t, line)
		switch {
		case len(words) > 1 && words[0] == "dagger":
			calls++
			requireCall(t, line, words[1:])
		case len(words) > 1 && filepath.Base(words[0]) == "nestlab":
			calls++
			require.NoError(t, understood(t, binary, words[1:]), line)
		}
	}
	require.Greater(t, calls, 16, "too few commands were found in %v", lines)
	for _, wrong := range [][]string{{"vm", "rum"}, {"dance"}, {"report", "--chekc", "out"}, {"vm", "run", "now"}} {
		require.Error(t, understood(t, binary, wrong), "%v", wrong)
	}
}

// calling fits lines that may call one of the two.
var calling = regexp.MustCompile(`(dagger|nestlab"?) `)

// command are the words of a line that calls dagger or nestlab, as whoever.
func command(t *testing.T, line string) []string {
	t.Helper()
	if !calling.MatchString(line) {
		return nil
	}
	words, err := shellwords.Parse(line)
	require.NoError(t, err, line)
	switch {
	case len(words) > 0 && (words[0] == "sudo" || words[0] == "out/bin/progress"):
		words = words[1:]
		for len(words) > 0 && strings.HasPrefix(words[0], "--preserve-env=") {
			words = words[1:]
		}
	case len(words) == 4 && words[0] == "sg" && words[2] == "-c":
		return command(t, words[3])
	}
	return words
}

// flagUse is a flag with its value in a usage line.
var flagUse = regexp.MustCompile(`--[a-z-]+ [A-Z]+`)

// understood asks the binary for the help of a command. A wrong flag is refused; a
// wrong subcommand is answered with the help of the one before it, and an argument
// too many with one whose usage has no place for it.
func understood(t *testing.T, binary string, words []string) error {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), binary, append(slices.Clone(words), "--help")...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	_, usage, _ := strings.Cut(string(out), "Usage:\n")
	usage, _, _ = strings.Cut(usage, "\n\n")
	plain := flagUse.ReplaceAllString(usage, "")
	for i, word := range words {
		if strings.HasPrefix(word, "-") {
			break
		}
		path := "  nestlab " + strings.Join(words[:i+1], " ")
		if strings.HasPrefix(usage, path+" ") || usage == path {
			continue
		}
		if strings.Contains(plain, "[command]") || !regexp.MustCompile(`[A-Z]{2}`).MatchString(plain) {
			return fmt.Errorf("%q has no place in the usage\n%s", word, usage)
		}
		break
	}
	return nil
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
	out, log, err := daggerCLI(t, append([]string{"--silent"}, append(args, "--help")...)...)
	require.NoError(t, err, "%s\n%s%s", line, out, log)
	require.Contains(t, out+log, "dagger call "+strings.Join(functions, " "), line)
}

func workflowLines(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("../.github/workflows/*.yml")
	require.NoError(t, err)
	actions, err := filepath.Glob("../.github/actions/*/action.yml")
	require.NoError(t, err)
	require.NotEmpty(t, actions)
	var lines []string
	for _, f := range append(files, actions...) {
		text, err := os.ReadFile(f)
		require.NoError(t, err)
		var w workflow
		require.NoError(t, yaml.Unmarshal(text, &w), f)
		lines = append(lines, w.lines()...)
	}
	return lines
}

// typed are the lines of README and guide that a reader types.
var typed = regexp.MustCompile(`(?m)^\s*(?:\$ |- run: |)((?:sudo )?(?:\./nestlab|dagger .*call) .*)$`)

func readmeLines(t *testing.T) []string {
	t.Helper()
	var lines []string
	for _, name := range []string{"README", "docs/usage", "docs/doctor", "docs/lxd", "docs/incus", "docs/libvirt", "docs/multipass", "docs/podman", "docs/docker"} {
		text, err := os.ReadFile("../" + name + ".md")
		require.NoError(t, err)
		found := typed.FindAllStringSubmatch(string(text), -1)
		require.NotEmpty(t, found, name)
		for _, m := range found {
			lines = append(lines, m[1])
		}
	}
	return lines
}
