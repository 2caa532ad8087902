package faults_test

import (
	"context"
	"encoding/json"
	"errors"
	"regexp"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/testbed/world/faults"
)

func TestEveryFaultIsWhole(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, f := range faults.All() {
		require.Regexp(t, regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)+$`), f.Name)
		require.False(t, seen[f.Name], f.Name)
		seen[f.Name] = true
		require.NotEmpty(t, f.About, f.Name)
		require.NotEmpty(t, f.Affects, f.Name)
		require.Subset(t, model.Environments(), f.Affects, f.Name)
		require.True(t, f.Break != nil || f.Settings != nil, f.Name)
	}
}

// What the runner can read must not tell the diagnosis what to say.
func TestSettingsDoNotNameTheFault(t *testing.T) {
	t.Parallel()
	for _, f := range faults.All() {
		text, err := json.Marshal(f.Settings)
		require.NoError(t, err)
		require.NotContains(t, string(text), f.Name)
	}
}

func TestFind(t *testing.T) {
	t.Parallel()
	found, err := faults.Find([]string{"nat-off", "clock-skew", "nat-off"})
	require.NoError(t, err)
	require.Len(t, found, 2)
	require.Equal(t, []string{"nat-off", "clock-skew"}, []string{found[0].Name, found[1].Name})
	_, err = faults.Find([]string{"gremlins"})
	require.ErrorContains(t, err, `"gremlins"`)
	for _, name := range faults.Names() {
		require.ErrorContains(t, err, name)
	}
}

func TestMerge(t *testing.T) {
	t.Parallel()
	found, err := faults.Find([]string{"dockerd-storage-driver", "dockerd-iptables-backend", "subnet-overlap", "nat-off"})
	require.NoError(t, err)
	merged, err := faults.Merge(found)
	require.NoError(t, err)
	require.Equal(t, map[string]any{"storage-driver": "vfs", "iptables": false}, merged.Docker)
	require.NotEmpty(t, merged.Subnet)
	_, err = faults.Merge(append(slices.Clone(found), found[0]))
	require.ErrorContains(t, err, "storage-driver")
}

// Whatever goes wrong, all that was broken is restored, the last first.
func TestPutMendsInReverse(t *testing.T) {
	t.Parallel()
	var did []string
	fault := func(name string, fails error) faults.Fault {
		return faults.Fault{Name: name, Break: func(context.Context, faults.Lab) (faults.Restore, error) {
			did = append(did, "break "+name)
			return func(context.Context) error { did = append(did, "restore "+name); return errors.New(name + " stays") }, fails
		}}
	}
	restore, err := faults.Put(t.Context(), nil, []faults.Fault{fault("a", nil), {Name: "settings alone"}, fault("b", nil)})
	require.NoError(t, err)
	err = restore(t.Context())
	require.ErrorContains(t, err, "a stays")
	require.ErrorContains(t, err, "b stays")
	require.Equal(t, []string{"break a", "break b", "restore b", "restore a"}, did)

	did = nil
	_, err = faults.Put(t.Context(), nil, []faults.Fault{fault("a", nil), fault("b", errors.New("too hard")), fault("c", nil)})
	require.ErrorContains(t, err, "break b: too hard")
	require.Equal(t, []string{"break a", "break b", "restore a"}, did)
}
