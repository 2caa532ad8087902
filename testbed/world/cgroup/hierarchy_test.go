package cgroup

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParseHierarchies(t *testing.T) {
	t.Parallel()
	got, err := parseHierarchies(strings.NewReader("12:cpu,cpuacct:/a\n3:name=systemd:/a:b\n2:pids:/\n0::/user.slice\n"))
	require.NoError(t, err)
	require.Equal(t, []Hierarchy{{Controllers: []string{"cpu", "cpuacct"}}, {Controllers: []string{"name=systemd"}}, {Controllers: []string{"pids"}}, {}}, got)
	var names []string
	for _, h := range got {
		names = append(names, h.String())
	}
	require.Equal(t, []string{"cpu,cpuacct", "systemd", "pids", "unified"}, names)
	require.False(t, pureUnified(got))
	require.True(t, pureUnified([]Hierarchy{{}}))
	require.False(t, pureUnified([]Hierarchy{{Controllers: []string{"pids"}}}))
	for _, bad := range []string{"", "a", "1:b", "\n"} {
		_, err := parseHierarchies(strings.NewReader(bad))
		require.Error(t, err, "%q", bad)
	}
}

func FuzzParseHierarchies(f *testing.F) {
	for _, seed := range []string{"0::/\n", "1:cpu,cpuacct:/\n0::/", "x", "1::", strings.Repeat("a", 70000)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := parseHierarchies(strings.NewReader(text))
		if err != nil {
			require.Nil(t, got)
			return
		}
		require.NotEmpty(t, got)
		for _, h := range got {
			require.NotEqual(t, h.Unified(), len(h.Controllers) > 0)
		}
	})
}
