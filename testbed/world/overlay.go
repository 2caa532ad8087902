package world

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"
)

// overlay makes a directory's changes private to the thread's mount namespace.
// What is mounted below it stays.
func overlay(dir string) error {
	below, err := submounts(dir)
	if err != nil {
		return fmt.Errorf("make %s private: %w", dir, err)
	}
	// The changes live in memory: overlayfs does not take every file system for them.
	scratch := filepath.Join("/run/overlay", strings.ReplaceAll(strings.Trim(dir, "/"), "/", "-"))
	upper, work := filepath.Join(scratch, "upper"), filepath.Join(scratch, "work")
	for _, d := range []string{upper, work} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return fmt.Errorf("make %s private: %w", dir, err)
		}
	}
	options := "lowerdir=" + dir + ",upperdir=" + upper + ",workdir=" + work
	err = unix.Mount("overlay", dir, "overlay", unix.MS_NODEV, options)
	for _, m := range below {
		if err == nil {
			err = m.attach()
		}
		err = errors.Join(err, unix.Close(m.tree))
	}
	if err != nil {
		return fmt.Errorf("make %s private by an overlay: %w", dir, err)
	}
	return nil
}

// submount is a mount with all below it, taken up to be put down again.
type submount struct {
	path string
	tree int
}

// submounts takes up copies of the topmost mounts below a directory.
func submounts(dir string) ([]submount, error) {
	mounts, err := mountinfo.GetMounts(mountinfo.PrefixFilter(dir))
	if err != nil {
		return nil, err
	}
	var out []submount
	for _, m := range mounts {
		covered := m.Mountpoint == dir
		for _, o := range out {
			covered = covered || m.Mountpoint == o.path || strings.HasPrefix(m.Mountpoint, o.path+"/")
		}
		if covered {
			continue
		}
		tree, err := unix.OpenTree(unix.AT_FDCWD, m.Mountpoint, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_RECURSIVE)
		if err != nil {
			return nil, fmt.Errorf("take up the mount %s: %w", m.Mountpoint, err)
		}
		out = append(out, submount{path: m.Mountpoint, tree: tree})
	}
	return out, nil
}

func (m submount) attach() error {
	if err := unix.MoveMount(m.tree, "", unix.AT_FDCWD, m.path, unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
		return fmt.Errorf("put down the mount %s: %w", m.path, err)
	}
	return nil
}
