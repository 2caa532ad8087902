package diagnose_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/diagnose"
	"github.com/nestlab/nestlab/remedy/catalogue"
)

var update = flag.Bool("update", false, "write the list of rules in docs/diagnosis.md again")

const documentation = "../docs/diagnosis.md"

// TestTheDocumentationListsTheRules keeps the list in docs/diagnosis.md as the rules are.
func TestTheDocumentationListsTheRules(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile(documentation)
	require.NoError(t, err)
	const end = "<!-- end of rules -->"
	before, rest, found := strings.Cut(string(raw), "-update` -->\n")
	require.True(t, found, "the mark of the list is gone")
	_, after, found := strings.Cut(rest, end)
	require.True(t, found, "the mark of the list's end is gone")
	want := before + "-update` -->\n" + table(t) + end + after
	if *update {
		require.NoError(t, os.WriteFile(documentation, []byte(want), 0o644))
		return
	}
	require.Equal(t, want, string(raw), "run the tests of this package with -update")
}

func table(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	b.WriteString("| cause | in plain words | what it is | remedies, the narrowest first |\n|---|---|---|---|\n")
	for _, r := range diagnose.Rules() {
		var remedies []string
		for _, name := range r.Remedies {
			_, err := catalogue.Find(name)
			require.NoError(t, err)
			remedies = append(remedies, "`"+name+"`")
		}
		_, anchor, found := strings.Cut(r.Docs(), filepath.Base(documentation)+"#")
		require.True(t, found, r.Docs())
		fmt.Fprintf(&b, "| <a id=%q></a>`%s` | %s | %s | %s |\n", anchor, r.Cause, r.Title, r.About, strings.Join(remedies, ", "))
	}
	return b.String()
}
