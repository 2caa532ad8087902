package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
)

// engineCgroups are the cgroups that the engine makes on the host, one in each
// hierarchy ("buildkit" is its name for them).
func engineCgroups() ([]string, error) {
	var all []string
	for _, pattern := range []string{"/sys/fs/cgroup/buildkit", "/sys/fs/cgroup/*/buildkit"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			return nil, fmt.Errorf("look for the engine's cgroups: %w", err)
		}
		all = append(all, found...)
	}
	return all, nil
}

// removeCgroups removes the engine's cgroups but those that were there before
// it. One that still has processes is not ours alone and stays.
func removeCgroups(before []string) error {
	now, err := engineCgroups()
	if err != nil {
		return err
	}
	var failed error
	for _, root := range now {
		if slices.Contains(before, root) {
			continue
		}
		var dirs []string
		err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				dirs = append(dirs, p)
			}
			return skipGone(err)
		})
		failed = errors.Join(failed, err)
		slices.Reverse(dirs) // children first
		for _, d := range dirs {
			if err := os.Remove(d); err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.EBUSY) {
				failed = errors.Join(failed, fmt.Errorf("remove the engine's cgroup: %w", err))
			}
		}
	}
	return failed
}
