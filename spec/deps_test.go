package spec_test

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Whoever calls the module for the first time compiles it with all that it imports: that
// is pure packages and the generated client, and none of what the binary does its work by.
func TestModuleImports(t *testing.T) {
	t.Parallel()
	const module = "github.com/nestlab/nestlab"
	allowed := []string{
		"", "/diagnose", "/images", "/internal/dagger", "/internal/querybuilder", "/internal/telemetry", "/model", "/pipelines", "/remedy/catalogue", "/report",
		"/scenario", "/spec", "/spec/selection", "/spec/targets", "/tail",
	}
	out, err := exec.Command("go", "list", "-deps", module).Output()
	require.NoError(t, err)
	all := strings.Fields(string(out))
	for _, dep := range all {
		if rest, own := strings.CutPrefix(dep, module); own {
			require.Contains(t, allowed, rest, "the module imports %s: what it needs of that belongs into a pure package, such as spec", dep)
		}
	}
	require.LessOrEqual(t, len(all), 450, "the module imports more packages than it did: go list -deps . names them")
}
