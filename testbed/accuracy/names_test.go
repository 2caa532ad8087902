package accuracy

import (
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/spec"
	"github.com/nestlab/nestlab/testbed"
	"github.com/nestlab/nestlab/testbed/world/faults"
)

var update = flag.Bool("update", false, "write the names of faults and cases again, for package spec")

// The names that requests are checked by are those of what there is.
func TestNames(t *testing.T) {
	t.Parallel()
	var cases []string
	for _, r := range spec.RunnerKind("").Values() {
		all, err := CasesOf(r)
		require.NoError(t, err)
		for _, c := range all {
			cases = append(cases, string(r)+" "+c.Name)
		}
	}
	public, err := testbed.Names()
	require.NoError(t, err)
	for file, names := range map[string][]string{"../../spec/faults.txt": append(faults.Names(), public...), "../../spec/cases.txt": cases} {
		want := strings.Join(names, "\n") + "\n"
		if *update {
			require.NoError(t, os.WriteFile(file, []byte(want), 0o644))
		}
		got, err := os.ReadFile(file)
		require.NoError(t, err)
		require.Equal(t, want, string(got), "write it again: go test ./testbed/accuracy -run TestNames -update")
	}
}
