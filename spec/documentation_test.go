package spec_test

import (
	"fmt"
	"os"
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
