package cgroup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"
	"golang.org/x/sys/unix"
)

const (
	controllersFile = "cgroup.controllers"
	subtreeFile     = "cgroup.subtree_control"
	eventsFile      = "cgroup.events"
	// initLeaf is where a group's first processes are in version 2: a cgroup
	// that hands out controllers may hold no process itself.
	initLeaf = "init"
	// shelter is, for the same reason, where a container's processes are for as
	// long as there are groups of this package beside it.
	shelter = "nestlab-shelter"
)

// delegate makes the root of the version 2 hierarchy hand out its controllers.
// The kernel's true root is the machine's own: there, what it hands out has to
// do. The root that a container sees hands out nothing by itself.
func delegate(root *os.File) error {
	if isTrueRoot(root) {
		return nil
	}
	return locked(root, func() error {
		available, err := readFields(at(root, controllersFile))
		if err != nil {
			return err
		}
		handed, err := readFields(at(root, subtreeFile))
		if err != nil || len(available) == 0 || slices.Equal(available, handed) {
			return err
		}
		if err := os.Mkdir(at(root, shelter), 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		if err := moveAll(at(root), at(root, shelter)); err != nil {
			return err
		}
		return setControllers(at(root), "+", available)
	})
}

// undelegate takes delegate back once no group is left that could need it.
func undelegate(root *os.File) error {
	if isTrueRoot(root) {
		return nil
	}
	return locked(root, func() error {
		entries, err := os.ReadDir(at(root))
		if err != nil {
			return err
		}
		sheltered := false
		for _, e := range entries {
			if e.IsDir() && e.Name() != shelter {
				return nil // somebody else's group: the last one cleans up
			}
			sheltered = sheltered || e.Name() == shelter
		}
		if !sheltered {
			return nil
		}
		handed, err := readFields(at(root, subtreeFile))
		if err == nil && len(handed) > 0 {
			err = setControllers(at(root), "-", handed)
		}
		if err != nil {
			return err
		}
		return leaveShelter(root)
	})
}

// leaveShelter moves everybody back. Those that were being born meanwhile keep
// the shelter busy: they are moved with the next attempt.
func leaveShelter(root *os.File) (err error) {
	for range 100 {
		if err := moveAll(at(root, shelter), at(root)); err != nil {
			return err
		}
		if err = unix.Rmdir(at(root, shelter)); !errors.Is(err, unix.EBUSY) {
			return err
		}
	}
	return err
}

// isTrueRoot: the kernel's root cgroup alone has no events.
func isTrueRoot(root *os.File) bool {
	_, err := os.Stat(at(root, eventsFile))
	return errors.Is(err, fs.ErrNotExist)
}

// locked keeps those who change the root at the same time apart. The root's
// directory itself may be locked for good, if the root is a group of New.
func locked(root *os.File, f func() error) error {
	lock, err := os.Open(at(root, procsFile))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), removeLimit)
	defer cancel()
	_, err = backoff.Retry(ctx, func() (struct{}, error) {
		return struct{}{}, unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	}, backoff.WithBackOff(backoff.NewConstantBackOff(10*time.Millisecond)))
	if err != nil {
		err = fmt.Errorf("wait for another process that changes the root cgroup: %w", err)
	} else {
		err = f()
	}
	return errors.Join(err, lock.Close())
}

func setControllers(dir, sign string, controllers []string) error {
	value := sign + strings.Join(controllers, " "+sign)
	if err := os.WriteFile(filepath.Join(dir, subtreeFile), []byte(value), 0o644); err != nil {
		return fmt.Errorf("set %s to %q: %w", subtreeFile, value, err)
	}
	return nil
}

// moveAll moves the processes of one cgroup to another until none is left.
func moveAll(from, to string) error {
	for {
		processes, err := readFields(filepath.Join(from, procsFile))
		if err != nil || len(processes) == 0 {
			return err
		}
		for _, pid := range processes {
			if pid == "0" { // as a number to write it would mean this process
				return errors.New("a process of another process namespace is in this container's cgroup: it cannot be moved")
			}
			err := os.WriteFile(filepath.Join(to, procsFile), []byte(pid), 0o644)
			if err != nil && !errors.Is(err, unix.ESRCH) {
				return fmt.Errorf("move process %s to another cgroup: %w", pid, err)
			}
		}
	}
}

func readFields(path string) ([]string, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return strings.Fields(string(data)), nil
}
