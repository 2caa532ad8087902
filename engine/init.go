package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// gateFD is the pipe on which the engine's first process waits until its
// network is there. One byte opens the gate; a closed pipe means give up.
const gateFD = 3

// engineInit is the first process of the engine's namespaces: it makes the
// root, enters it and becomes the engine. Its environment is the engine's.
func engineInit() error {
	dir := os.Getenv(cacheVariable)
	if dir == "" {
		return errors.New("init is started by supervise, not by hand")
	}
	gate := os.NewFile(gateFD, "gate")
	if _, err := io.ReadFull(gate, make([]byte, 1)); err != nil {
		return fmt.Errorf("wait for the engine's network: %w", err)
	}
	if err := gate.Close(); err != nil {
		return err
	}
	if err := unix.Sethostname([]byte("dagger-engine")); err != nil {
		return fmt.Errorf("name the engine's host: %w", err)
	}
	c := cache{dir}
	if err := c.mountEngine(); err != nil {
		return err
	}
	if err := enterRoot(c.path("run", "root")); err != nil {
		return err
	}
	if err := raiseFileLimit(); err != nil {
		return err
	}
	if err := os.Unsetenv(cacheVariable); err != nil {
		return err
	}
	return execPath([]string{"dagger-engine", "--config", "/etc/dagger/engine.toml"})
}

// mountEngine puts the engine's root together: the built root and the built
// images with their changes in memory, the host's devices and cgroups, a sysfs
// of the new network namespace, and the three directories that are kept.
func (c cache) mountEngine() error {
	scratch, root := c.path("run", "scratch"), c.path("run", "root")
	in := func(p string) string { return filepath.Join(root, p) }
	if err := mountAll([]mount{{"tmpfs", scratch, "tmpfs", 0, "mode=0755"}}); err != nil {
		return err
	}
	content := "usr/local/share/dagger/content"
	for _, o := range []struct{ name, lower, target string }{
		{"root", c.path("engine-root"), root},
		{"images", c.path("images"), in(content)},
	} {
		upper, work := filepath.Join(scratch, o.name), filepath.Join(scratch, o.name+".work")
		for _, d := range []string{upper, work} {
			if err := os.Mkdir(d, 0o755); err != nil {
				return err
			}
		}
		if err := mountOverlay(c.dir, o.lower, upper, work, o.target); err != nil {
			return err
		}
	}
	if err := mountAll([]mount{
		{"/dev", in("dev"), "", unix.MS_BIND | unix.MS_REC, ""},
		{"sysfs", in("sys"), "sysfs", 0, ""},
		{"/sys/fs/cgroup", in("sys/fs/cgroup"), "", unix.MS_BIND | unix.MS_REC, ""},
		{"proc", in("proc"), "proc", 0, ""},
		{"tmpfs", in("tmp"), "tmpfs", 0, "mode=1777"},
		{"tmpfs", in("run"), "tmpfs", 0, "mode=0755"},
		{c.path("state"), in("var/lib/dagger"), "", unix.MS_BIND, ""},
	}); err != nil {
		return err
	}
	if err := os.Mkdir(in("run/dagger"), 0o755); err != nil {
		return err
	}
	return mountAll([]mount{{c.path("run", "sock"), in("run/dagger"), "", unix.MS_BIND, ""}})
}

// enterRoot makes dir the root of this mount namespace and lets the old one go.
func enterRoot(dir string) error {
	if err := os.Chdir(dir); err != nil {
		return err
	}
	if err := os.Mkdir(".old", 0o700); err != nil {
		return err
	}
	if err := unix.PivotRoot(".", ".old"); err != nil {
		return fmt.Errorf("pivot to the engine's root: %w", err)
	}
	if err := os.Chdir("/"); err != nil {
		return err
	}
	if err := unix.Unmount("/.old", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("let go of the host's root: %w", err)
	}
	return os.Remove("/.old")
}

// raiseFileLimit gives the engine as many files as it may have. It is
// syscall's call, not unix's: only that one is kept through exec.
func raiseFileLimit() error {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return fmt.Errorf("read the limit of open files: %w", err)
	}
	l.Cur = l.Max
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return fmt.Errorf("raise the limit of open files: %w", err)
	}
	return nil
}

// execPath becomes a command that is found on PATH.
func execPath(argv []string) error {
	path, err := exec.LookPath(argv[0])
	if err != nil {
		return err
	}
	if err := syscall.Exec(path, argv, os.Environ()); err != nil {
		return fmt.Errorf("become %s: %w", path, err)
	}
	return nil
}
