package dind

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// Of two daemons on one data root the second is told whose it is; after the first's end it
// gets it.
func TestLockData(t *testing.T) {
	t.Parallel()
	root := filepath.Join(t.TempDir(), "docker")
	first, err := lockData(root, "data volume ci of one")
	require.NoError(t, err)
	_, err = lockData(root, "another")
	require.ErrorIs(t, err, ErrInUse)
	require.ErrorContains(t, err, "data volume ci of one")
	require.ErrorContains(t, err, "--data-volume")
	require.NoError(t, first.Close())
	second, err := lockData(root, "two")
	require.NoError(t, err)
	require.Equal(t, "two", readHolder(second))
	require.NoError(t, second.Close())
}

func TestEmptyData(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	lock, err := lockData(root, "me")
	require.NoError(t, err)
	require.NoError(t, os.MkdirAll(filepath.Join(root, "overlay2", "l"), 0o755))
	require.NoError(t, emptyData(root))
	entries, err := os.ReadDir(root)
	require.NoError(t, err)
	require.Len(t, entries, 1)
	_, err = lockData(root, "other")
	require.ErrorIs(t, err, ErrInUse, "the lock is gone with the data")
	require.NoError(t, lock.Close())
}

// The number of a process that is no dockerd is removed; that of one is not.
func TestRemoveStalePID(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "dockerd.pid")
	removed, err := removeStalePID(file)
	require.NoError(t, err)
	require.False(t, removed)
	for _, text := range []string{strconv.Itoa(os.Getpid()), "4194304", "x"} {
		require.NoError(t, os.WriteFile(file, []byte(text), 0o644))
		removed, err = removeStalePID(file)
		require.NoError(t, err)
		require.True(t, removed)
		require.NoFileExists(t, file)
	}
}
