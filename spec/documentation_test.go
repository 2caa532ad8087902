package spec_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/spec"
)

// The guide's table of environments is the one that plans and lanes come from.
func TestTheDocumentationListsTheEnvironments(t *testing.T) {
	t.Parallel()
	guide, err := os.ReadFile("../docs/environments.md")
	require.NoError(t, err)
	seen := map[string]bool{}
	for _, c := range spec.Command("").Values() {
		for _, e := range spec.Environments(c) {
			if seen[e.Name] {
				continue
			}
			seen[e.Name] = true
			var commands []string
			for _, c := range e.Commands {
				commands = append(commands, "`"+string(c)+"`")
			}
			row := fmt.Sprintf("| `%s` | %s | %s | %s |\n", e.Name, e.About, strings.Join(e.Suites, ", "), strings.Join(commands, ", "))
			require.Contains(t, string(guide), row)
		}
	}
}

// TestTheMapNamesEveryFolder: who looks for something finds its folder in the map.
func TestTheMapNamesEveryFolder(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../docs/architecture.md")
	require.NoError(t, err)
	folders, err := filepath.Glob("../*/*.go")
	require.NoError(t, err)
	require.NotEmpty(t, folders)
	for _, file := range folders {
		require.Contains(t, string(text), "`"+filepath.Base(filepath.Dir(file))+"/`")
	}
	for _, m := range regexp.MustCompile("`([a-z]+/[a-z/_]*(?:\\.go|\\.txt)?)`").FindAllStringSubmatch(string(text), -1) {
		_, err := os.Stat(filepath.Join("..", m[1]))
		require.NoError(t, err, "the map names what is not there")
	}
}
