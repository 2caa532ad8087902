package vm

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// scratchPrefix begins the names of the directories of QEMU guests.
const scratchPrefix = "nestlab-guests-"

// Scratch is the directory in which QEMU guests of one run have their files. It
// is locked as long as that run lives, however it ends: one that is not is left
// of a killed run.
type Scratch struct {
	Dir  string
	lock *os.File
}

// NewScratch makes one in a directory for temporary files.
func NewScratch(parent string) (_ *Scratch, err error) {
	dir, err := os.MkdirTemp(parent, scratchPrefix)
	if err != nil {
		return nil, fmt.Errorf("make a directory for QEMU's guests: %w", err)
	}
	lock, free, err := lockDir(dir)
	if err == nil && !free {
		err = errors.New("somebody else has it")
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s for QEMU's guests: %w", dir, err), os.RemoveAll(dir))
	}
	return &Scratch{Dir: dir, lock: lock}, nil
}

// Close removes the directory and what is in it.
func (s *Scratch) Close() error {
	if err := errors.Join(os.RemoveAll(s.Dir), s.lock.Close()); err != nil {
		return fmt.Errorf("remove the files of QEMU's guests: %w; `nestlab vm gc` does it later", err)
	}
	return nil
}

// lockDir locks a directory until the file is closed or this process ends. It is
// not free where another process has it.
func lockDir(dir string) (lock *os.File, free bool, err error) {
	if lock, err = os.Open(dir); err != nil {
		return nil, false, err
	}
	// QEMU does not inherit it.
	err = unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	switch {
	case err == nil:
		return lock, true, nil
	case errors.Is(err, unix.EWOULDBLOCK):
		err = nil
	}
	return nil, false, errors.Join(err, lock.Close())
}

// GuestLeftovers lists what killed runs left of QEMU guests on this machine:
// taps that no guest uses, and directories in parent, of this user's, that no run
// has locked. QEMU itself ends with its run.
func GuestLeftovers(parent string) ([]Leftover, error) {
	taps, err := leftTaps()
	if err != nil {
		return nil, err
	}
	dirs, err := leftDirs(parent)
	return append(taps, dirs...), err
}

// SweepGuests removes what killed runs left of QEMU guests on this machine, and
// says what it has removed.
func SweepGuests(ctx context.Context, parent string) (removed []Leftover, err error) {
	all, err := GuestLeftovers(parent)
	return sweep(ctx, all, err)
}

// ownTap are the names of nestlab's taps: a guest's as it is, and a scenario's.
var ownTap = regexp.MustCompile(`^` + tapPrefix + `(qemu-bridge|[0-9a-f]{8})$`)

func leftTaps() ([]Leftover, error) {
	links, err := netlink.LinkList()
	if err != nil {
		return nil, fmt.Errorf("list the network cards, for taps that are left: %w", err)
	}
	var all []Leftover
	for _, l := range links {
		a := l.Attrs()
		// One with a carrier has a guest.
		if l.Type() == "tuntap" && ownTap.MatchString(a.Name) && a.OperState == netlink.OperDown {
			all = append(all, Leftover{"tap", a.Name, "", func(context.Context) error { return sweepTap(a.Name) }})
		}
	}
	return all, nil
}

func leftDirs(parent string) ([]Leftover, error) {
	entries, err := os.ReadDir(parent)
	if err != nil {
		return nil, fmt.Errorf("look for directories that are left of QEMU's guests: %w", err)
	}
	var all []Leftover
	for _, e := range entries {
		dir := filepath.Join(parent, e.Name())
		left, err := leftDir(dir, e)
		if err != nil {
			return all, fmt.Errorf("look whether %s is left of a killed run: %w", dir, err)
		}
		if left {
			all = append(all, Leftover{"directory", dir, "", func(context.Context) error { return os.RemoveAll(dir) }})
		}
	}
	return all, nil
}

// leftDir reports whether a directory is one of this user's guests, and no run's.
func leftDir(dir string, e fs.DirEntry) (bool, error) {
	if !e.IsDir() || !strings.HasPrefix(e.Name(), scratchPrefix) {
		return false, nil
	}
	info, err := e.Info()
	if err != nil {
		return false, unlessGone(err)
	}
	if owner, ok := info.Sys().(*syscall.Stat_t); !ok || int(owner.Uid) != os.Geteuid() {
		return false, nil
	}
	lock, free, err := lockDir(dir)
	if err != nil || !free {
		return false, unlessGone(err)
	}
	return true, lock.Close()
}

// unlessGone is an error, but none where what was looked at went meanwhile.
func unlessGone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
