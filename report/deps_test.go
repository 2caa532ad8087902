package report_test

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestPurePackages keeps the pure packages pure: besides the standard library,
// less what reaches out of the process, they import only what is listed.
func TestPurePackages(t *testing.T) {
	t.Parallel()
	const module = "github.com/nestlab/nestlab/"
	allowed := map[string][]string{
		module + "model":            nil,
		module + "diagnose":         {module + "model", module + "remedy/catalogue"},
		module + "remedy/catalogue": {module + "model"},
		module + "spec/selection":   nil,
		module + "scenario":         {module + "model", module + "spec/selection"},
		module + "spec":             {module + "model", module + "spec/selection", module + "scenario"},
		module + "report": {
			module + "model", "github.com/google/uuid", "github.com/jedib0t/go-pretty/v6", "github.com/mattn/go-runewidth", "github.com/rivo/uniseg",
			"github.com/santhosh-tekuri/jsonschema/v6", "golang.org/x/text",
		},
	}
	for pkg, list := range allowed {
		// The module's own imports are what can be restored here.
		out, err := exec.Command("go", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", pkg).Output()
		require.NoError(t, err)
		for _, dep := range strings.Fields(string(out)) {
			require.True(t, dep == pkg || under(dep, list), "%s imports %s", pkg, dep)
		}
		out, err = exec.Command("go", "list", "-f", `{{join .Imports "\n"}}`, pkg).Output()
		require.NoError(t, err)
		for _, own := range strings.Fields(string(out)) {
			require.NotContains(t, []string{"os", "os/exec", "net/http", "syscall", "log", "path/filepath"}, own, "%s reaches out", pkg)
		}
	}
}

func under(dep string, list []string) bool {
	for _, root := range list {
		if dep == root || strings.HasPrefix(dep, root+"/") {
			return true
		}
	}
	return false
}
