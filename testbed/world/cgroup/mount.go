package cgroup

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

const mountFlags = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC

// MountAll mounts the hierarchies below Root, rooted at the thread's cgroup
// namespace, and hands the controllers of version 2 down to what is made there.
func MountAll(hierarchies []Hierarchy) error {
	if pureUnified(hierarchies) {
		if err := hierarchies[0].mount(Root); err != nil {
			return err
		}
		return leaveRoot(Root)
	}
	if err := unix.Mount("cgroup", Root, "tmpfs", mountFlags, "mode=755"); err != nil {
		return fmt.Errorf("mount %s: %w", Root, err)
	}
	for _, h := range hierarchies {
		dir := filepath.Join(Root, h.String())
		if err := os.Mkdir(dir, 0o755); err != nil {
			return err
		}
		if err := h.mount(dir); err != nil {
			return err
		}
		if h.Unified() {
			if err := leaveRoot(dir); err != nil {
				return err
			}
		}
		if len(h.Controllers) < 2 {
			continue
		}
		for _, c := range h.Controllers { // cpu and cpuacct lead to cpu,cpuacct
			if err := os.Symlink(h.String(), filepath.Join(Root, c)); err != nil {
				return err
			}
		}
	}
	return nil
}

// pureUnified tells a machine with version 2 alone.
func pureUnified(hierarchies []Hierarchy) bool {
	return len(hierarchies) == 1 && hierarchies[0].Unified()
}

// mount mounts the hierarchy, rooted at the thread's cgroup namespace.
func (h Hierarchy) mount(dir string) error {
	kind, options := "cgroup", strings.Join(h.Controllers, ",")
	if h.Unified() {
		kind = "cgroup2"
	} else if _, ok := h.named(); ok {
		options = "none," + options
	}
	if err := unix.Mount("cgroup", dir, kind, mountFlags|unix.MS_RELATIME, options); err != nil {
		return fmt.Errorf("mount the cgroup hierarchy %s on %s: %w", h, dir, err)
	}
	return nil
}

// leaveRoot moves the process out of the root of its version 2 cgroup namespace
// and hands that root's controllers down: whoever makes cgroups there needs them.
func leaveRoot(root string) error {
	available, err := readFields(filepath.Join(root, controllersFile))
	if err != nil {
		return fmt.Errorf("read the cgroup's controllers: %w", err)
	}
	if len(available) == 0 {
		return nil
	}
	leaf := filepath.Join(root, initLeaf)
	if err := os.Mkdir(leaf, 0o755); err != nil {
		return fmt.Errorf("make a cgroup for the processes that are there: %w", err)
	}
	if err := os.WriteFile(filepath.Join(leaf, procsFile), []byte("0"), 0o644); err != nil {
		return fmt.Errorf("join the cgroup for the processes that are there: %w", err)
	}
	return setControllers(root, "+", available)
}
