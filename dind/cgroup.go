package dind

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// delegateCgroups lets a daemon make cgroups with limits in this container's: version 2 has
// them only where a cgroup that has children has no processes. So those move to a child, and
// the controllers are handed down. It says what it did.
func delegateCgroups(root string) (did string, err error) {
	names, err := os.ReadFile(filepath.Join(root, "cgroup.controllers"))
	if errors.Is(err, fs.ErrNotExist) {
		return "version 1: nothing to delegate", nil
	}
	if err != nil {
		return "", fmt.Errorf("look at the cgroup's controllers: %w", err)
	}
	// The machine's own root has no type, may have both, and is not ours to rearrange.
	if _, err := os.Stat(filepath.Join(root, "cgroup.type")); errors.Is(err, fs.ErrNotExist) {
		return "version 2: this is the machine's own root, left as it is", nil
	}
	child := filepath.Join(root, "init")
	if err := os.Mkdir(child, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", fmt.Errorf("make a cgroup for this container's processes (is /sys/fs/cgroup writable? start the container privileged): %w", err)
	}
	moved, err := evacuate(root, child)
	if err != nil {
		return "", err
	}
	controllers := strings.Fields(string(names))
	for _, c := range controllers {
		if err := os.WriteFile(filepath.Join(root, "cgroup.subtree_control"), []byte("+"+c), 0); err != nil {
			return "", fmt.Errorf("delegate the cgroup controller %s: %w", c, err)
		}
	}
	return fmt.Sprintf("version 2: moved %d processes to %s, delegated %s", moved, child, strings.Join(controllers, " ")), nil
}

// evacuate moves all processes of one cgroup to another, those too that are born meanwhile.
func evacuate(from, to string) (moved int, err error) {
	for {
		text, err := os.ReadFile(filepath.Join(from, "cgroup.procs"))
		if err != nil {
			return moved, fmt.Errorf("list the processes of the cgroup: %w", err)
		}
		pids := strings.Fields(string(text))
		if len(pids) == 0 {
			return moved, nil
		}
		for _, pid := range pids {
			err := os.WriteFile(filepath.Join(to, "cgroup.procs"), []byte(pid), 0)
			if errors.Is(err, syscall.ESRCH) {
				continue // it has ended
			}
			if err != nil {
				return moved, fmt.Errorf("move process %s to the cgroup %s: %w", pid, to, err)
			}
			moved++
		}
	}
}
