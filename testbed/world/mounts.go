package world

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"

	"github.com/nestlab/nestlab/testbed/world/cgroup"
	"github.com/nestlab/nestlab/testbed/world/internet"
)

// privateDirs are where the runner's daemons and remedies keep what they have: each is a
// directory of the run's state there.
var privateDirs = []string{
	"/var/lib/docker", "/var/lib/containerd", "/etc/docker",
	"/var/lib/lxd", "/var/log/lxd", "/var/cache/lxd", "/var/lib/lxcfs",
	"/var/lib/nestlab", "/usr/local/share/ca-certificates",
}

const (
	resolvFile = "/etc/resolv.conf"
	bundleFile = "/etc/ssl/certs/ca-certificates.crt"
)

// mountAll gives the thread's mount namespace the runner's file systems.
func mountAll(spec runnerSpec) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	// By its descriptor the state stays in reach, whatever is mounted over its path.
	state, err := os.Open(spec.State)
	if err != nil {
		return fmt.Errorf("open the state directory: %w", err)
	}
	defer state.Close()
	if err := mountSys(spec.Hierarchies); err != nil {
		return err
	}
	const flags = unix.MS_NOSUID | unix.MS_NODEV
	if err := unix.Mount("proc", "/proc", "proc", flags|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	if err := unix.Mount("tmpfs", "/run", "tmpfs", flags, "mode=755"); err != nil {
		return fmt.Errorf("mount /run: %w", err)
	}
	for _, dir := range []string{"/run/lock", "/run/netns", lxcConfig} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return fmt.Errorf("fill /run: %w", err)
		}
	}
	return coverAll(state, spec.CAFile)
}

// mountSys mounts a /sys of the runner's network namespace (LXD looks for the
// links there), with the cgroup hierarchies rooted at the runner's cgroups.
func mountSys(hierarchies []cgroup.Hierarchy) error {
	const flags = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC
	const security = "/sys/kernel/security"
	secured, err := mountinfo.Mounted(security)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("look for %s: %w", security, err)
	}
	for err = nil; err == nil; { // as many as lie one over the other
		err = unix.Unmount("/sys", unix.MNT_DETACH)
	}
	if !errors.Is(err, unix.EINVAL) {
		return fmt.Errorf("unmount /sys: %w", err)
	}
	if err := unix.Mount("sysfs", "/sys", "sysfs", flags, ""); err != nil {
		return fmt.Errorf("mount /sys: %w", err)
	}
	if secured { // Docker and LXD load their AppArmor profiles there
		if err := unix.Mount("securityfs", security, "securityfs", flags, ""); err != nil {
			return fmt.Errorf("mount %s: %w", security, err)
		}
	}
	return cgroup.MountAll(hierarchies)
}

// coverAll puts the runner's own files and directories over the machine's.
func coverAll(state *os.File, caFile string) error {
	c := coverer{state: filepath.Join("/proc/self/fd", strconv.Itoa(int(state.Fd()))), private: map[string]bool{}}
	for _, dir := range privateDirs {
		if err := c.coverDir(dir); err != nil {
			return fmt.Errorf("cover %s: %w", dir, err)
		}
	}
	if err := c.coverFile(resolvFile, []byte("nameserver "+internet.Resolver.String()+"\n")); err != nil {
		return fmt.Errorf("cover %s: %w", resolvFile, err)
	}
	bundle, err := os.ReadFile(bundleFile)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read the certificates: %w", err)
	}
	authority, err := os.ReadFile(filepath.Join(c.state, filepath.Base(caFile)))
	if err != nil {
		return fmt.Errorf("read the simulated internet's certificate authority: %w", err)
	}
	if err := os.WriteFile(runnerCAFile, authority, 0o644); err != nil {
		return fmt.Errorf("write the simulated internet's certificate authority: %w", err)
	}
	if err := c.coverFile(bundleFile, append(bundle, authority...)); err != nil {
		return fmt.Errorf("cover %s: %w", bundleFile, err)
	}
	return nil
}

// coverer lays private files and directories over paths, of which none may be
// made on the machine itself.
type coverer struct {
	state   string
	private map[string]bool // directories that are overlays by now
}

func (c *coverer) coverDir(path string) error {
	source := filepath.Join(c.state, "fs", path)
	if err := os.MkdirAll(source, 0o755); err != nil {
		return err
	}
	if err := c.shade(path); err != nil {
		return err
	}
	if err := os.MkdirAll(path, 0o755); err != nil {
		return err
	}
	return unix.Mount(source, path, "", unix.MS_BIND, "")
}

func (c *coverer) coverFile(path string, content []byte) error {
	source := filepath.Join(c.state, "fs", path)
	if err := os.MkdirAll(filepath.Dir(source), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(source, content, 0o644); err != nil {
		return err
	}
	path, err := followLinks(path)
	if err != nil {
		return err
	}
	if err := c.shade(path); err != nil {
		return err
	}
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) { // something to mount on
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			return err
		}
	}
	return unix.Mount(source, path, "", unix.MS_BIND, "")
}

// followLinks is where a symbolic link leads, also when nothing is there: the
// resolv.conf of many machines leads into /run.
func followLinks(path string) (string, error) {
	for range 16 {
		target, err := os.Readlink(path)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.EINVAL) {
			return path, nil
		}
		if err != nil {
			return "", err
		}
		if !filepath.IsAbs(target) {
			target = filepath.Join(filepath.Dir(path), target)
		}
		path = target
	}
	return "", fmt.Errorf("too many symbolic links, the last one %s", path)
}

// shade makes sure that a path which does not exist can be made without making
// it on the machine: its closest ancestor that does exist becomes an overlay.
func (c *coverer) shade(path string) error {
	if _, err := os.Lstat(path); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	ancestor := filepath.Dir(path)
	for {
		_, err := os.Stat(ancestor)
		if err == nil {
			break
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		ancestor = filepath.Dir(ancestor)
	}
	if c.private[ancestor] || strings.HasPrefix(ancestor+"/", "/run/") {
		return nil
	}
	if ancestor == "/" {
		return fmt.Errorf("there is no %s: make it, it may be empty", filepath.Dir(path))
	}
	c.private[ancestor] = true
	return overlay(ancestor)
}
