package world

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"
	"golang.org/x/sys/unix"
)

const (
	procsFile = "cgroup.procs"
	// removeLimit is how long the kernel may take to let go of a cgroup whose processes are gone.
	removeLimit = 10 * time.Second
)

// cgroup is the runner's cgroup in one hierarchy, at the root of it: a cgroup
// below the own one would inherit what a container may not do, and a
// privileged container of its Docker could not be started.
type cgroup struct {
	hierarchy hierarchy
	name      string
	root      *os.File
	dir       *os.File    // locked for as long as the run lives
	delegated *delegation // version 2 only
}

type cgroups []*cgroup

// newCgroups makes a cgroup of that name in every hierarchy, after removing
// those that killed runs left.
func newCgroups(name string) (_ cgroups, err error) {
	hierarchies, err := ownHierarchies()
	if err != nil {
		return nil, err
	}
	var all cgroups
	defer func() {
		if err != nil {
			err = errors.Join(err, all.remove())
		}
	}()
	for _, h := range hierarchies {
		root, err := h.open()
		if err != nil {
			return nil, err
		}
		c := &cgroup{hierarchy: h, name: name, root: root}
		all = append(all, c)
		if err := c.sweep(); err != nil {
			return nil, fmt.Errorf("remove what a killed run left in the cgroup hierarchy %s: %w", h, err)
		}
		if err := c.make(); err != nil {
			return nil, fmt.Errorf("make cgroup %s in the hierarchy %s: %w", name, h, err)
		}
	}
	return all, nil
}

// at is a path in the hierarchy.
func at(root *os.File, elements ...string) string {
	return filepath.Join(append([]string{"/proc/self/fd", strconv.Itoa(int(root.Fd()))}, elements...)...)
}

func (c *cgroup) path(elements ...string) string {
	return at(c.root, append([]string{c.name}, elements...)...)
}

func (c *cgroup) make() error {
	if err := os.Mkdir(c.path(), 0o755); err != nil {
		return err
	}
	dir, err := lockDir(c.path())
	if err != nil {
		return err
	}
	if dir == nil {
		return errors.New("another run took it for a left one: start again")
	}
	c.dir = dir
	if c.hierarchy.unified() {
		c.delegated, err = delegate(c)
		return err
	}
	if !c.hierarchy.has("cpuset") {
		return nil
	}
	// A new cpuset has no processors and takes no process.
	for _, setting := range []string{"cpuset.cpus", "cpuset.mems"} {
		value, err := os.ReadFile(at(c.root, setting))
		if err != nil {
			return err
		}
		if err := os.WriteFile(c.path(setting), value, 0o644); err != nil {
			return fmt.Errorf("set %s to %q: %w", setting, value, err)
		}
	}
	return nil
}

// directories are what a process joins, one for each hierarchy.
func (all cgroups) directories() []*os.File {
	var out []*os.File
	for _, c := range all {
		out = append(out, c.dir)
	}
	return out
}

// remove ends what is left in the cgroups and removes them.
func (all cgroups) remove() error {
	var errs []error
	for _, c := range all {
		if err := c.remove(); err != nil {
			errs = append(errs, fmt.Errorf("remove cgroup %s of the hierarchy %s: %w", c.name, c.hierarchy, err))
		}
	}
	return errors.Join(errs...)
}

func (c *cgroup) remove() error {
	var errs []error
	if c.dir != nil {
		errs = append(errs, removeTree(c.path()), c.dir.Close())
	}
	if c.delegated != nil {
		errs = append(errs, c.delegated.undo())
	}
	return errors.Join(append(errs, c.root.Close())...)
}

// sweep removes the cgroups of runs whose lock nobody holds any more.
func (c *cgroup) sweep() error {
	entries, err := os.ReadDir(at(c.root))
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range entries {
		if !e.IsDir() || !runName.MatchString(e.Name()) {
			continue
		}
		left := at(c.root, e.Name())
		lock, err := lockDir(left)
		if err != nil {
			errs = append(errs, err)
		}
		if lock != nil {
			errs = append(errs, removeTree(left), lock.Close())
		}
	}
	return errors.Join(errs...)
}

// removeTree kills the processes of a cgroup and of those below it, and removes
// them from the leaves up.
func removeTree(path string) error {
	ctx, cancel := context.WithTimeout(context.Background(), removeLimit)
	defer cancel()
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		return struct{}{}, tryRemoveTree(path)
	}, backoff.WithBackOff(backoff.NewConstantBackOff(20*time.Millisecond)))
	return err
}

func tryRemoveTree(path string) error {
	entries, err := os.ReadDir(path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENODEV) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() {
			if err := tryRemoveTree(filepath.Join(path, e.Name())); err != nil {
				return err
			}
		}
	}
	if err := killAll(filepath.Join(path, procsFile)); err != nil {
		return err
	}
	if err := unix.Rmdir(path); err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("rmdir %s: %w", filepath.Base(path), err)
	}
	return nil
}

// killAll kills the processes that a cgroup.procs file lists and that this
// process can see.
func killAll(procs string) error {
	data, err := os.ReadFile(procs)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENODEV) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, field := range strings.Fields(string(data)) {
		pid, err := strconv.Atoi(field)
		if err != nil {
			return fmt.Errorf("read %s: %w", procs, err)
		}
		if pid == 0 { // of another process namespace
			continue
		}
		if err := unix.Kill(pid, unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("kill process %d: %w", pid, err)
		}
	}
	return nil
}
