package selection_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/spec/selection"
)

func TestSelected(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		patterns []string
		want     bool
	}{
		{"dind", nil, true},
		{"dind", []string{"dind"}, true},
		{"dind", []string{"lxd-*"}, false},
		{"dind", []string{"!dind"}, false},
		{"dind", []string{"!lxd-*"}, true},
		{"lxd-vm", []string{"lxd-*", "!*-vm"}, false},
		{"a/b", []string{"a/*"}, true},
		{"a/b", []string{"a"}, true},
		{"a/b", []string{"*"}, true},
		{"a/b", []string{"*", "!a"}, false},
		{"a/b", []string{"a/c"}, false},
		{"a/b", []string{"b"}, false},
	} {
		got, err := selection.Selected(c.name, c.patterns)
		require.NoError(t, err)
		require.Equal(t, c.want, got, "%s of %v", c.name, c.patterns)
	}
	_, err := selection.Selected("x", []string{"[a"})
	require.ErrorContains(t, err, "invalid pattern")
}

func TestMisses(t *testing.T) {
	t.Parallel()
	names := []string{"dind", "a/b"}
	for _, p := range []string{"dind", "d*", "!dind", "a", "a/*", "*"} {
		_, missed, err := selection.Misses(names, []string{p})
		require.NoError(t, err)
		require.False(t, missed, p)
	}
	pattern, missed, err := selection.Misses(names, []string{"dind", "!dnd"})
	require.NoError(t, err)
	require.True(t, missed)
	require.Equal(t, "!dnd", pattern)
}
