package inroot_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/nestlab/nestlab/observe/inroot"
)

// TestRead: links stay in the root, and what is no file, or too long, is not read.
func TestRead(t *testing.T) {
	t.Parallel()
	outside, root := t.TempDir(), t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(outside, "secret"), []byte("x"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(root, "file"), []byte("12345"), 0o600))
	require.NoError(t, os.Symlink("/file", filepath.Join(root, "absolute")))
	require.NoError(t, os.Symlink(filepath.Join(outside, "secret"), filepath.Join(root, "out")))
	require.NoError(t, unix.Mkfifo(filepath.Join(root, "pipe"), 0o600))
	for _, path := range []string{"/file", "/absolute", "/../file"} {
		text, err := inroot.Read(root, path, 5)
		require.NoError(t, err, path)
		require.Equal(t, "12345", string(text))
	}
	for path, want := range map[string]error{"/none": fs.ErrNotExist, "/out": fs.ErrNotExist, "/pipe": inroot.ErrNotRegular, "/": inroot.ErrNotRegular} {
		_, err := inroot.Read(root, path, 5)
		require.ErrorIs(t, err, want, path)
		_, err = inroot.Read("", filepath.Join(root, path), 5)
		if path != "/out" {
			require.ErrorIs(t, err, want, path)
		}
	}
	_, err := inroot.Read("", "/dev/zero", 5)
	require.ErrorIs(t, err, inroot.ErrNotRegular)
	_, err = inroot.Read(root, "/file", 4)
	require.ErrorIs(t, err, inroot.ErrTooLong)
	files, err := inroot.Dir(root, "/")
	require.NoError(t, err)
	require.Len(t, files, 4)
	_, err = inroot.Dir(root, "/file")
	require.Error(t, err)
}
