package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
)

// newMountNamespace gives a child a mount namespace of its own, from which
// nothing gets back to the host.
const newMountNamespace = syscall.CLONE_NEWNS

// mount is one mount(2) call.
type mount struct {
	source, target, kind string
	flags                uintptr
	data                 string
}

func mountAll(mounts []mount) error {
	for _, m := range mounts {
		if err := unix.Mount(m.source, m.target, m.kind, m.flags, m.data); err != nil {
			return fmt.Errorf("mount %s %s on %s: %w", m.kind, m.source, m.target, err)
		}
	}
	return nil
}

// mountOverlay mounts lower at target with all writes going to upper. It works
// from their common parent, as a path in overlay's options may hold no comma or colon.
func mountOverlay(parent, lower, upper, work, target string) error {
	names := []string{lower, upper, work}
	for i, n := range names {
		rel, err := filepath.Rel(parent, n)
		if err != nil {
			return fmt.Errorf("find %s from %s: %w", n, parent, err)
		}
		if strings.ContainsAny(rel, ",:\\") {
			return fmt.Errorf("%q cannot be part of an overlay: its name has a comma, colon or backslash", rel)
		}
		names[i] = rel
	}
	if err := os.Chdir(parent); err != nil {
		return fmt.Errorf("enter %s: %w", parent, err)
	}
	return mountAll([]mount{{"overlay", target, "overlay", 0,
		"lowerdir=" + names[0] + ",upperdir=" + names[1] + ",workdir=" + names[2]}})
}

// inOverlay runs a command in a root that is LOWER with UPPER on top. It is
// started in a mount namespace of its own. MOUNT is a host directory to be seen
// inside, read-only: HOST:INSIDE, the latter below a directory that stays out of UPPER.
func inOverlay(cmd *cobra.Command, args []string) error {
	dash := cmd.ArgsLenAtDash()
	if dash < 2 || dash >= len(args) {
		return errors.New("in-overlay: LOWER and UPPER are wanted, mounts if any, then -- and a command")
	}
	lower, upper, mounts, argv := args[0], args[1], args[2:dash], args[dash:]
	work, target := upper+".work", upper+".root"
	for _, d := range []string{work, target} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return err
		}
	}
	parent := filepath.Dir(filepath.Dir(filepath.Dir(upper))) // the cache
	if err := mountOverlay(parent, lower, upper, work, target); err != nil {
		return err
	}
	in := func(p string) string { return filepath.Join(target, p) }
	if err := mountAll([]mount{
		{"proc", in("proc"), "proc", 0, ""},
		{"/dev", in("dev"), "", unix.MS_BIND | unix.MS_REC, ""},
		{"tmpfs", in("tmp"), "tmpfs", 0, ""},
		{"/etc/resolv.conf", in("etc/resolv.conf"), "", unix.MS_BIND, ""},
		{"/etc/hosts", in("etc/hosts"), "", unix.MS_BIND, ""},
	}); err != nil {
		return err
	}
	for _, m := range mounts {
		i := strings.LastIndex(m, ":")
		if i < 0 {
			return fmt.Errorf("in-overlay: %q is not HOST:INSIDE", m)
		}
		if err := bindReadOnly(m[:i], in(m[i+1:])); err != nil {
			return err
		}
	}
	if err := unix.Chroot(target); err != nil {
		return fmt.Errorf("enter the overlay: %w", err)
	}
	if err := os.Chdir("/"); err != nil {
		return err
	}
	return execPath(argv)
}

func bindReadOnly(from, to string) error {
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err
	}
	return mountAll([]mount{
		{from, to, "", unix.MS_BIND, ""},
		{"", to, "", unix.MS_BIND | unix.MS_REMOUNT | unix.MS_RDONLY, ""},
	})
}
