package world

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// inMounts runs f in a mount namespace of its own, with an empty /run.
func inMounts(f func() error) error {
	return onThread(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
			return fmt.Errorf("unshare: %w", err)
		}
		if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
			return fmt.Errorf("make mounts private: %w", err)
		}
		if err := unix.Mount("tmpfs", "/run", "tmpfs", 0, ""); err != nil {
			return fmt.Errorf("mount /run: %w", err)
		}
		return f()
	})
}

// expect compares a file's content.
func expect(path, want string) error {
	got, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if string(got) != want {
		return fmt.Errorf("%s holds %q, want %q", path, got, want)
	}
	return nil
}

func TestWhatIsMissingIsNotMadeOnTheMachine(t *testing.T) {
	t.Parallel()
	machine, state := t.TempDir(), t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(machine, "file"), []byte("machine"), 0o644))
	require.NoError(t, os.Mkdir(filepath.Join(machine, "mounted"), 0o755))
	missing := filepath.Join(machine, "a", "b")
	require.NoError(t, inMounts(func() error {
		mounted := filepath.Join(machine, "mounted")
		if err := unix.Mount("tmpfs", mounted, "tmpfs", 0, ""); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(mounted, "file"), []byte("mounted"), 0o644); err != nil {
			return err
		}
		c := coverer{state: state, private: map[string]bool{}}
		return errors.Join(
			c.coverDir(missing),
			c.coverDir(filepath.Join(machine, "a", "c")), // its ancestor is private by now
			os.WriteFile(filepath.Join(missing, "new"), []byte("runner"), 0o644),
			c.coverFile(filepath.Join(machine, "d", "file"), []byte("covered")),
			expect(filepath.Join(machine, "d", "file"), "covered"),
			expect(filepath.Join(machine, "file"), "machine"),
			expect(filepath.Join(mounted, "file"), "mounted"),
			expect(filepath.Join(state, "fs", missing, "new"), "runner"),
		)
	}))
	entries, err := os.ReadDir(machine)
	require.NoError(t, err)
	require.Len(t, entries, 2, "the machine has what it had")
}

func TestWhatIsThereIsCovered(t *testing.T) {
	t.Parallel()
	machine, state := t.TempDir(), t.TempDir()
	file, dir := filepath.Join(machine, "file"), filepath.Join(machine, "dir")
	require.NoError(t, os.WriteFile(file, []byte("machine"), 0o644))
	require.NoError(t, os.Mkdir(dir, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "old"), nil, 0o644))
	require.NoError(t, os.Symlink("file", filepath.Join(machine, "link")))
	require.NoError(t, os.Symlink("/run/resolve/stub.conf", filepath.Join(machine, "dangling")))
	require.NoError(t, inMounts(func() error {
		c := coverer{state: state, private: map[string]bool{}}
		_, old := os.Stat(filepath.Join(dir, "old"))
		err := errors.Join(
			c.coverDir(dir),
			c.coverFile(filepath.Join(machine, "link"), []byte("by the link")),
			c.coverFile(filepath.Join(machine, "dangling"), []byte("in /run")),
			expect(file, "by the link"),
			expect("/run/resolve/stub.conf", "in /run"),
			expect(filepath.Join(machine, "dangling"), "in /run"),
			old,
		)
		if _, still := os.Stat(filepath.Join(dir, "old")); !errors.Is(still, os.ErrNotExist) {
			err = errors.Join(err, fmt.Errorf("the machine's file is seen: %w", still))
		}
		if len(c.private) > 0 {
			err = errors.Join(err, fmt.Errorf("overlays where none is needed: %v", c.private))
		}
		return err
	}))
	require.NoError(t, expect(file, "machine"))
	require.NoFileExists(t, "/run/resolve/stub.conf")
}

func TestCoverNamesWhatItCannotDo(t *testing.T) {
	t.Parallel()
	loop := filepath.Join(t.TempDir(), "loop")
	require.NoError(t, os.Symlink(loop, loop))
	c := coverer{state: t.TempDir(), private: map[string]bool{}}
	require.ErrorContains(t, c.coverFile(loop, nil), "too many symbolic links")
	require.ErrorContains(t, c.coverDir("/no-such-directory/a"), "there is no /no-such-directory")
	require.NoDirExists(t, "/no-such-directory")
}
