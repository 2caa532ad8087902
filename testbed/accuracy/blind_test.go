package accuracy_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/diagnose"
	"github.com/nestlab/nestlab/report"
	"github.com/nestlab/nestlab/testbed/world/faults"
)

// blind are the packages that look at a runner and say what is wrong with it.
var blind = []string{"diagnose", "observe", "session", "remedy"}

// What looks knows nothing of what breaks: neither its code nor its figures.
func TestWhatLooksDoesNotKnow(t *testing.T) {
	t.Parallel()
	for _, room := range blind {
		out, err := exec.Command("go", "list", "-deps", "../../"+room+"/...").Output()
		require.NoError(t, err, room)
		for _, dep := range strings.Fields(string(out)) {
			for _, secret := range []string{"testbed/world/faults", "testbed/accuracy", "spec"} {
				require.False(t, strings.HasSuffix(dep, "nestlab/"+secret), "%s imports %s", room, dep)
			}
		}
	}
}

// The plan's faults are for people: nothing that looks reads that field.
func TestNobodyReadsThePlansFaults(t *testing.T) {
	t.Parallel()
	for _, room := range blind {
		err := filepath.WalkDir(filepath.Join("..", "..", room), func(path string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
			if err != nil {
				return err
			}
			ast.Inspect(file, func(n ast.Node) bool {
				if s, ok := n.(*ast.SelectorExpr); ok {
					require.NotEqual(t, "Faults", s.Sel.Name, "%s reads a field Faults", path)
				}
				return true
			})
			return nil
		})
		require.NoError(t, err, room)
	}
}

// A run that says what was broken gets the diagnosis of one that does not.
func TestDiagnosisIsTheSameWhateverThePlanSays(t *testing.T) {
	t.Parallel()
	journals, err := filepath.Glob("../../diagnose/testdata/*.jsonl")
	require.NoError(t, err)
	require.NotEmpty(t, journals)
	for _, path := range journals {
		f, err := os.Open(path)
		require.NoError(t, err)
		run, err := report.Fold(f)
		require.NoError(t, err)
		require.NoError(t, f.Close())
		run.Plan.Faults = nil
		want := diagnose.Diagnose(run)
		for _, name := range faults.Names() {
			run.Plan.Faults = []string{name}
			require.Equal(t, want, diagnose.Diagnose(run), "%s with %s", path, name)
		}
	}
}
