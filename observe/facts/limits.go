package facts

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/nestlab/nestlab/model"
)

// sysctls are limits that stand in one file each; what is used of some stands in another.
var sysctls = []struct {
	name, path string
	used       func() (*uint64, error)
}{
	{"fs.inotify.max_user_watches", "/proc/sys/fs/inotify/max_user_watches", nil},
	{"fs.inotify.max_user_instances", "/proc/sys/fs/inotify/max_user_instances", inotifyInstances},
	{"user.max_inotify_watches", "/proc/sys/user/max_inotify_watches", nil},
	{"user.max_inotify_instances", "/proc/sys/user/max_inotify_instances", nil},
	{"fs.mount-max", "/proc/sys/fs/mount-max", mounts},
	{"kernel.threads-max", "/proc/sys/kernel/threads-max", tasks},
	{"kernel.pid_max", "/proc/sys/kernel/pid_max", tasks},
}

// namespaces are the kinds of which each user has a number.
var namespaces = []string{"user", "net", "mnt", "pid", "ipc", "uts", "cgroup", "time"}

// kernelLimits reads the limits that daemons and containers run into, and what is used of
// them. Those that this kernel does not have are left out.
func kernelLimits(_ context.Context, f *model.Facts) error {
	var errs []error
	add := func(name, path string, used func() (*uint64, error)) {
		limit, err := number(path)
		if errors.Is(err, fs.ErrNotExist) {
			return
		}
		l := model.Limit{Name: name, Max: limit}
		if err == nil && used != nil {
			l.Used, err = used()
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", name, err))
			return
		}
		f.Limits = append(f.Limits, l)
	}
	for _, kind := range namespaces {
		name := "max_" + kind + "_namespaces"
		add("user."+name, "/proc/sys/user/"+name, nil)
	}
	for _, s := range sysctls {
		add(s.name, s.path, s.used)
	}
	limits, err := keyLimits()
	if err != nil {
		errs = append(errs, err)
	}
	f.Limits = append(f.Limits, limits...)
	limits, err = cgroupLimits()
	if err != nil {
		errs = append(errs, err)
	}
	f.Limits = append(f.Limits, limits...)
	return errors.Join(errs...)
}

// errNoLimit tells of a file that says "max".
var errNoLimit = errors.New("no limit")

// number is the first word of a file.
func number(path string) (uint64, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	first, _, _ := strings.Cut(strings.TrimSpace(string(text)), " ")
	if first == "max" {
		return 0, errNoLimit
	}
	return strconv.ParseUint(first, 10, 64)
}

// keyLimits are those of this user's keys (keyrings(7)): "UID: USAGE NKEYS/NIKEYS
// QNKEYS/MAXKEYS QNBYTES/MAXBYTES".
func keyLimits() ([]model.Limit, error) {
	file, err := os.Open("/proc/key-users")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	own := fmt.Sprintf("%d:", os.Geteuid())
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		if len(words) != 5 || words[0] != own {
			continue
		}
		var all []model.Limit
		for i, name := range []string{"maxkeys", "maxbytes"} {
			var used, limit uint64
			if _, err := fmt.Sscanf(words[3+i], "%d/%d", &used, &limit); err != nil {
				return nil, fmt.Errorf("read %q of /proc/key-users: %w", words[3+i], err)
			}
			// The machine's root has a limit of its own; that of a user namespace has not.
			if roots, err := number("/proc/sys/kernel/keys/root_" + name); err == nil && own == "0:" && roots == limit {
				name = "root_" + name
			}
			all = append(all, model.Limit{Name: "kernel.keys." + name, Max: limit, Used: &used})
		}
		return all, nil
	}
	return nil, lines.Err()
}

// cgroupLimits are those of this process's cgroup, of version 2, and of those above it:
// the nearest to its end of each.
func cgroupLimits() ([]model.Limit, error) {
	text, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return nil, err
	}
	own := ""
	for l := range strings.Lines(string(text)) {
		if path, ok := strings.CutPrefix(strings.TrimSpace(l), "0::"); ok {
			own = path
		}
	}
	root := "/sys/fs/cgroup"
	if _, err := os.Stat(filepath.Join(root, "cgroup.controllers")); err != nil {
		root += "/unified"
	}
	found := map[string]model.Limit{}
	for dir := filepath.Join(root, own); strings.HasPrefix(dir, root); dir = filepath.Dir(dir) {
		err := errors.Join(
			tightest(found, dir, "pids.max", func() (uint64, error) { return number(filepath.Join(dir, "pids.current")) }),
			tightest(found, dir, "cgroup.max.descendants", func() (uint64, error) { return descendants(dir) }))
		if err != nil {
			return nil, err
		}
	}
	var all []model.Limit
	for _, name := range []string{"pids.max", "cgroup.max.descendants"} {
		if l, ok := found[name]; ok {
			all = append(all, l)
		}
	}
	return all, nil
}

// tightest keeps the limit of which least is left. The root has none, and a controller need
// not be there.
func tightest(found map[string]model.Limit, dir, name string, used func() (uint64, error)) error {
	limit, err := number(filepath.Join(dir, name))
	if errors.Is(err, errNoLimit) || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	n, usedErr := used()
	if err := errors.Join(err, usedErr); err != nil {
		return fmt.Errorf("read %s of %s: %w", name, dir, err)
	}
	before, known := found[name]
	if !known || int64(limit)-int64(n) < int64(before.Max)-int64(*before.Used) {
		found[name] = model.Limit{Name: name, Max: limit, Used: &n}
	}
	return nil
}

func descendants(dir string) (uint64, error) {
	text, err := os.ReadFile(filepath.Join(dir, "cgroup.stat"))
	if err != nil {
		return 0, err
	}
	var n uint64
	_, err = fmt.Sscanf(string(text), "nr_descendants %d", &n)
	return n, err
}

// tasks is how many there are on the machine: the fourth word of loadavg is RUNNING/ALL.
func tasks() (*uint64, error) {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return nil, err
	}
	var a, b, c string
	var running, all uint64
	_, err = fmt.Sscanf(string(text), "%s %s %s %d/%d", &a, &b, &c, &running, &all)
	return &all, err
}

// mounts is how many this mount namespace has.
func mounts() (*uint64, error) {
	text, err := os.ReadFile("/proc/self/mountinfo")
	n := uint64(strings.Count(string(text), "\n"))
	return &n, err
}

// inotifyInstances counts those of this user by trying: a new one is refused with EMFILE
// where the limit is reached. What is used below it nobody counts.
func inotifyInstances() (*uint64, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC)
	if errors.Is(err, unix.EMFILE) {
		all, err := number("/proc/sys/fs/inotify/max_user_instances")
		return &all, err
	}
	if err != nil {
		return nil, err
	}
	return nil, unix.Close(fd)
}
