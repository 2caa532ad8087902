package world

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	controllersFile = "cgroup.controllers"
	subtreeFile     = "cgroup.subtree_control"
	// initLeaf is where the runner's own processes are in version 2: a cgroup
	// that hands out controllers may hold no process itself.
	initLeaf = "init"
)

// delegation is what had to be changed at the root of the version 2 hierarchy
// to have its controllers in the runner's cgroup.
type delegation struct {
	root    *os.File
	enabled []string // controllers that were not handed out before
	shelter string   // the leaf that the root's processes were moved to; empty for none
}

// delegate hands the root's controllers down to the runner's cgroup.
func delegate(c *cgroup) (*delegation, error) {
	available, err := readFields(at(c.root, controllersFile))
	if err != nil {
		return nil, err
	}
	handed, err := readFields(at(c.root, subtreeFile))
	if err != nil {
		return nil, err
	}
	d := &delegation{root: c.root}
	for _, controller := range available {
		if !slices.Contains(handed, controller) {
			d.enabled = append(d.enabled, controller)
		}
	}
	if len(d.enabled) == 0 {
		return d, nil
	}
	err = setControllers(at(c.root), "+", d.enabled)
	if !errors.Is(err, unix.EBUSY) {
		return d, err
	}
	// Only the kernel's true root may hold processes and hand out controllers;
	// in a container move its processes aside.
	d.shelter = c.name + "-host"
	if err := os.Mkdir(at(c.root, d.shelter), 0o755); err != nil {
		return d, err
	}
	if err := moveAll(at(c.root), at(c.root, d.shelter)); err != nil {
		return d, err
	}
	return d, setControllers(at(c.root), "+", d.enabled)
}

// undo puts the root back as it was.
func (d *delegation) undo() error {
	if len(d.enabled) == 0 {
		return nil
	}
	err := setControllers(at(d.root), "-", d.enabled)
	if d.shelter == "" {
		if errors.Is(err, unix.EBUSY) {
			return nil // another run has come to need them: they are its own now
		}
		return err
	}
	if err := errors.Join(err, moveAll(at(d.root, d.shelter), at(d.root))); err != nil {
		return err
	}
	return unix.Rmdir(at(d.root, d.shelter))
}

func setControllers(dir, sign string, controllers []string) error {
	value := sign + strings.Join(controllers, " "+sign)
	if err := os.WriteFile(dir+"/"+subtreeFile, []byte(value), 0o644); err != nil {
		return fmt.Errorf("set %s to %q: %w", subtreeFile, value, err)
	}
	return nil
}

// moveAll moves the processes of one cgroup to another until none is left.
func moveAll(from, to string) error {
	for {
		processes, err := readFields(from + "/" + procsFile)
		if err != nil {
			return err
		}
		if len(processes) == 0 {
			return nil
		}
		for _, pid := range processes {
			if pid == "0" { // as a number to write it would mean this process
				return errors.New("a process of another process namespace is in this container's cgroup: it cannot be moved")
			}
			err := os.WriteFile(to+"/"+procsFile, []byte(pid), 0o644)
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
