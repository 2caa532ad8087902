package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// toy is a cache with two artifacts that count how often they are built.
func toy(t *testing.T) (c cache, file, tree artifact, built map[string]int) {
	t.Helper()
	c, built = cache{dir: t.TempDir()}, map[string]int{}
	require.NoError(t, c.prepare())
	file = artifact{name: "file", title: "write", paths: []string{"bin/file"}, key: recipe("1"),
		build: func(_ context.Context, tmp string) error {
			built["file"]++
			return os.WriteFile(filepath.Join(tmp, "file"), []byte("content"), 0o755)
		}}
	tree = artifact{name: "tree", title: "grow", paths: []string{"tree"}, key: recipe("1"),
		build: func(_ context.Context, tmp string) error {
			built["tree"]++
			if err := os.MkdirAll(filepath.Join(tmp, "tree", "branch"), 0o755); err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(tmp, "tree", "branch", "leaf"), []byte("green"), 0o644)
		}}
	return c, file, tree, built
}

func quiet() *progress { return newProgress(&bytes.Buffer{}) }

func TestAnArtifactIsBuiltOnceWhileItIsWhole(t *testing.T) {
	t.Parallel()
	c, file, tree, built := toy(t)
	first, err := c.ensure(t.Context(), quiet(), file)
	require.NoError(t, err)
	for range 3 {
		again, err := c.ensure(t.Context(), quiet(), file)
		require.NoError(t, err)
		require.Equal(t, first, again)
		_, err = c.ensure(t.Context(), quiet(), tree)
		require.NoError(t, err)
	}
	require.Equal(t, map[string]int{"file": 1, "tree": 1}, built)
}

func TestOnlyWhatIsBrokenIsRebuilt(t *testing.T) {
	t.Parallel()
	breaks := map[string]struct {
		do   func(c cache) error
		file int // times that the file is built in all
		tree int
	}{
		"nothing":               {func(cache) error { return nil }, 1, 1},
		"file removed":          {func(c cache) error { return os.Remove(c.path("bin/file")) }, 2, 1},
		"file truncated":        {func(c cache) error { return os.Truncate(c.path("bin/file"), 3) }, 2, 1},
		"file of the same size": {func(c cache) error { return os.WriteFile(c.path("bin/file"), []byte("CONTENT"), 0o755) }, 2, 1},
		"file only touched":     {func(c cache) error { return os.WriteFile(c.path("bin/file"), []byte("content"), 0o755) }, 1, 1},
		"stamp removed":         {func(c cache) error { return os.Remove(c.path("stamps/file")) }, 2, 1},
		"stamp half written":    {func(c cache) error { return os.Truncate(c.path("stamps/file"), 10) }, 2, 1},
		"leaf removed":          {func(c cache) error { return os.Remove(c.path("tree/branch/leaf")) }, 1, 2},
		"leaf truncated":        {func(c cache) error { return os.Truncate(c.path("tree/branch/leaf"), 1) }, 1, 2},
		"leaf added":            {func(c cache) error { return os.WriteFile(c.path("tree/more"), nil, 0o644) }, 1, 2},
		"tree removed":          {func(c cache) error { return os.RemoveAll(c.path("tree")) }, 1, 2},
		"leftovers of a run":    {func(c cache) error { return os.MkdirAll(c.path("tmp/file/old"), 0o755) }, 1, 1},
	}
	for name, b := range breaks {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, file, tree, built := toy(t)
			both := func() {
				for _, a := range []artifact{file, tree} {
					_, err := c.ensure(t.Context(), quiet(), a)
					require.NoError(t, err)
				}
			}
			both()
			require.NoError(t, b.do(c))
			both()
			require.Equal(t, map[string]int{"file": b.file, "tree": b.tree}, built)
			content, err := os.ReadFile(c.path("bin/file"))
			require.NoError(t, err)
			require.Equal(t, "content", string(content))
			require.FileExists(t, c.path("tree/branch/leaf"))
			both()
			require.Equal(t, map[string]int{"file": b.file, "tree": b.tree}, built, "a rebuilt artifact is whole")
		})
	}
}

func TestAChangedRecipeRebuilds(t *testing.T) {
	t.Parallel()
	c, file, _, built := toy(t)
	_, err := c.ensure(t.Context(), quiet(), file)
	require.NoError(t, err)
	file.key = recipe("2")
	_, err = c.ensure(t.Context(), quiet(), file)
	require.NoError(t, err)
	require.Equal(t, 2, built["file"])
}

func TestAFailedBuildLeavesWhatWasThere(t *testing.T) {
	t.Parallel()
	c, file, _, _ := toy(t)
	_, err := c.ensure(t.Context(), quiet(), file)
	require.NoError(t, err)
	broken := file
	broken.key = recipe("2")
	broken.build = func(context.Context, string) error { return errors.New("no luck") }
	_, err = c.ensure(t.Context(), quiet(), broken)
	require.EqualError(t, err, "write: no luck")
	_, why := c.check(file)
	require.Empty(t, why)
}

func TestRecipeTellsItsPartsApart(t *testing.T) {
	t.Parallel()
	require.NotEqual(t, recipe("ab", "c"), recipe("a", "bc"))
	require.NotEqual(t, recipe("a", ""), recipe("a"))
}
