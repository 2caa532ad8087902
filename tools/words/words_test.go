package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// An entry that finds nothing would keep nothing out.
func TestEveryEntryFindsItsExample(t *testing.T) {
	t.Parallel()
	words, err := parse(list)
	require.NoError(t, err)
	require.NotEmpty(t, words)
	for _, w := range words {
		require.Regexp(t, w.old, w.example)
		require.NotRegexp(t, w.old, w.write, "what is to be written is an old word itself")
	}
}

func TestPlantedWord(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	plant := func(name, text string) {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
	}
	require.NoError(t, exec.CommandContext(t.Context(), "git", "-C", dir, "init", "-q").Run())
	plant("clean.go", "// Revert reverts the change.\n")
	plant("testdata/recorded.json", `"fell to: packets fell to the policy"`)
	var out strings.Builder
	found, err := run(dir, &out)
	require.NoError(t, err)
	require.Zero(t, found, out.String())
	plant("docs/a.md", "fine\nIt is Taken Back, and 95 packets fell to the policy.\n")
	plant("b.go", `var help = "How often a failure is tried again"`+"\n")
	found, err = run(dir, &out)
	require.NoError(t, err)
	require.Equal(t, 3, found, out.String())
	require.Contains(t, out.String(), "docs/a.md:2: \"Taken Back\": write revert\n")
	require.Contains(t, out.String(), "b.go:1: \"How often a\": write number of\n")
}

func TestListWithAMistake(t *testing.T) {
	t.Parallel()
	_, err := parse("(\tx\ty\n")
	require.ErrorContains(t, err, "read the list")
	_, err = parse("only one column\n")
	require.ErrorContains(t, err, "1 columns")
}

func TestNoRepository(t *testing.T) {
	t.Parallel()
	_, err := run(t.TempDir(), &strings.Builder{})
	require.ErrorContains(t, err, "list the files")
}
