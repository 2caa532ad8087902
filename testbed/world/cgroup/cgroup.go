package cgroup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"
	"golang.org/x/sys/unix"
)

const (
	procsFile = "cgroup.procs"
	// removeLimit is how long the kernel may take to let go of a cgroup whose processes are gone.
	removeLimit = time.Minute
)

// Group is a cgroup in one hierarchy, at the root of it: one below the own one
// would inherit what a container may not do, and a privileged container in it
// could not be started.
type Group struct {
	Hierarchy Hierarchy
	name      string
	root      *os.File
	dir       *os.File // locked for as long as the run lives
}

// Groups are one for each hierarchy.
type Groups []*Group

// New makes a cgroup of that name in every hierarchy, after removing those with
// a name that matches left and that killed processes left behind. Remove removes it.
func New(name string, left *regexp.Regexp) (_ Groups, err error) {
	hierarchies, err := Hierarchies()
	if err != nil {
		return nil, err
	}
	var all Groups
	defer func() {
		if err != nil {
			err = errors.Join(err, all.Remove())
		}
	}()
	for _, h := range hierarchies {
		root, err := h.Open()
		if err != nil {
			return nil, err
		}
		g := &Group{Hierarchy: h, name: name, root: root}
		all = append(all, g)
		if err := g.sweep(left); err != nil {
			return nil, fmt.Errorf("remove what a killed run left in the cgroup hierarchy %s: %w", h, err)
		}
		if err := g.make(); err != nil {
			return nil, fmt.Errorf("make cgroup %s in the hierarchy %s: %w", name, h, err)
		}
	}
	return all, nil
}

// at is a path in the hierarchy.
func at(root *os.File, elements ...string) string {
	return filepath.Join(append([]string{"/proc/self/fd", strconv.Itoa(int(root.Fd()))}, elements...)...)
}

func (g *Group) path(elements ...string) string {
	return at(g.root, append([]string{g.name}, elements...)...)
}

func (g *Group) make() error {
	dir, err := Make(g.path(), 0o755)
	if err != nil {
		return err
	}
	g.dir = dir
	if g.Hierarchy.Unified() {
		return delegate(g.root)
	}
	if !g.Hierarchy.has("cpuset") {
		return nil
	}
	// A new cpuset has no processors and takes no process.
	for _, setting := range []string{"cpuset.cpus", "cpuset.mems"} {
		value, err := os.ReadFile(at(g.root, setting))
		if err != nil {
			return err
		}
		if err := os.WriteFile(g.path(setting), value, 0o644); err != nil {
			return fmt.Errorf("set %s to %q: %w", setting, value, err)
		}
	}
	return nil
}

// Directories are what a process joins, one for each hierarchy.
func (all Groups) Directories() []*os.File {
	var out []*os.File
	for _, g := range all {
		out = append(out, g.dir)
	}
	return out
}

// Remove ends what is left in the cgroups and removes them.
func (all Groups) Remove() error {
	var errs []error
	for _, g := range all {
		if err := g.remove(); err != nil {
			errs = append(errs, fmt.Errorf("remove cgroup %s of the hierarchy %s: %w", g.name, g.Hierarchy, err))
		}
	}
	return errors.Join(errs...)
}

func (g *Group) remove() error {
	var errs []error
	if g.dir != nil {
		errs = append(errs, removeTree(g.path()), g.dir.Close())
	}
	if g.dir != nil && g.Hierarchy.Unified() {
		errs = append(errs, undelegate(g.root))
	}
	return errors.Join(append(errs, g.root.Close())...)
}

// sweep removes the cgroups of runs whose lock nobody holds any more.
func (g *Group) sweep(left *regexp.Regexp) error {
	entries, err := os.ReadDir(at(g.root))
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range entries {
		if !e.IsDir() || !left.MatchString(e.Name()) {
			continue
		}
		path := at(g.root, e.Name())
		lock, err := Lock(path)
		if err != nil {
			errs = append(errs, err)
		}
		if lock != nil {
			errs = append(errs, removeTree(path), lock.Close())
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

// Join moves the process that calls into the groups whose directories it has as
// open files, by their numbers.
func Join(fds []int) error {
	for _, fd := range fds {
		procs := filepath.Join("/proc/self/fd", strconv.Itoa(fd), procsFile)
		if err := os.WriteFile(procs, []byte("0"), 0o644); err != nil {
			return fmt.Errorf("join a cgroup: %w", err)
		}
	}
	return nil
}

// JoinThread moves the thread that calls, which a child inherits. Version 2 takes
// whole processes only: its directory is returned for one to be started in, nil
// where there is none. It is the caller's to close.
func (all Groups) JoinThread() (unified *os.File, err error) {
	for _, g := range all {
		if !g.Hierarchy.Unified() {
			if err := os.WriteFile(g.path("tasks"), []byte("0"), 0o644); err != nil {
				return unified, fmt.Errorf("join cgroup %s: %w", g.Hierarchy, err)
			}
			continue
		}
		if unified, err = os.Open(g.path(initLeaf)); errors.Is(err, fs.ErrNotExist) {
			unified, err = os.Open(g.path())
		}
		if err != nil {
			return nil, fmt.Errorf("open cgroup %s: %w", g.Hierarchy, err)
		}
	}
	return unified, nil
}
