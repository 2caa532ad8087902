// Package cgroup makes cgroups at the root of every hierarchy of the kernel,
// whichever versions it has, and puts processes into them.
package cgroup

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// Root is where machines have their cgroups.
const Root = "/sys/fs/cgroup"

// Hierarchy is one cgroup tree of the kernel: one of version 1 for each set of
// controllers, or the one of version 2.
type Hierarchy struct {
	// Controllers are those of a version 1 hierarchy, or its name=NAME; none in version 2.
	Controllers []string `json:"controllers,omitempty"`
}

// Unified tells version 2.
func (h Hierarchy) Unified() bool { return len(h.Controllers) == 0 }

// named is the name of a version 1 hierarchy without controllers, such as systemd's.
func (h Hierarchy) named() (string, bool) {
	if h.Unified() {
		return "", false
	}
	return strings.CutPrefix(h.Controllers[0], "name=")
}

// String is the name of the directory below Root where machines with
// version 1 have it.
func (h Hierarchy) String() string {
	if h.Unified() {
		return "unified"
	}
	if name, ok := h.named(); ok {
		return name
	}
	return strings.Join(h.Controllers, ",")
}

// has tells whether a version 1 hierarchy holds the controller.
func (h Hierarchy) has(controller string) bool {
	for _, c := range h.Controllers {
		if c == controller {
			return true
		}
	}
	return false
}

// parseHierarchies reads /proc/self/cgroup, lines of ID:CONTROLLERS:PATH
// (cgroups(7)).
func parseHierarchies(r io.Reader) ([]Hierarchy, error) {
	var out []Hierarchy
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		fields := strings.SplitN(lines.Text(), ":", 3)
		if len(fields) != 3 {
			return nil, fmt.Errorf("read cgroup hierarchies: line %q is not ID:CONTROLLERS:PATH", lines.Text())
		}
		var h Hierarchy
		if fields[1] != "" {
			h.Controllers = strings.Split(fields[1], ",")
		}
		out = append(out, h)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read cgroup hierarchies: %w", err)
	}
	if len(out) == 0 {
		return nil, errors.New("read cgroup hierarchies: this kernel has none, and Docker needs them")
	}
	return out, nil
}

// Hierarchies lists those of the kernel.
func Hierarchies() ([]Hierarchy, error) {
	f, err := os.Open("/proc/self/cgroup")
	if err != nil {
		return nil, fmt.Errorf("read cgroup hierarchies: %w", err)
	}
	defer f.Close()
	return parseHierarchies(f)
}

// Open gives the root of the whole hierarchy, as far as the own cgroup namespace
// shows it, by a mount that is in no mount table and goes when it is closed.
// In a container that is more than /sys/fs/cgroup has.
func (h Hierarchy) Open() (*os.File, error) {
	fail := func(err error) (*os.File, error) {
		return nil, fmt.Errorf("open the cgroup hierarchy %s (needs root and Linux 5.2): %w", h, err)
	}
	kind := "cgroup"
	if h.Unified() {
		kind = "cgroup2"
	}
	fs, err := unix.Fsopen(kind, unix.FSOPEN_CLOEXEC)
	if err != nil {
		return fail(err)
	}
	defer unix.Close(fs)
	if err := h.configure(fs); err != nil {
		return fail(err)
	}
	mount, err := unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV|unix.MOUNT_ATTR_NOEXEC)
	if err != nil {
		return fail(err)
	}
	return os.NewFile(uintptr(mount), "cgroup:"+h.String()), nil
}

func (h Hierarchy) configure(fs int) error {
	if name, ok := h.named(); ok {
		if err := unix.FsconfigSetFlag(fs, "none"); err != nil {
			return err
		}
		if err := unix.FsconfigSetString(fs, "name", name); err != nil {
			return err
		}
		return unix.FsconfigCreate(fs)
	}
	for _, c := range h.Controllers {
		if err := unix.FsconfigSetFlag(fs, c); err != nil {
			return fmt.Errorf("controller %s: %w", c, err)
		}
	}
	return unix.FsconfigCreate(fs)
}
