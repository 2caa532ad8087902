package dind

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// lockName is the file in a data root that whoever uses it has locked, with its name.
const lockName = "nestlab.lock"

// ErrInUse says that another daemon has a data root.
var ErrInUse = errors.New("another daemon uses it")

// lockData takes a data root for one holder, until the returned file is closed or the
// process ends. Two daemons on one would destroy it.
func lockData(root, holder string) (*os.File, error) {
	if err := os.MkdirAll(root, 0o710); err != nil {
		return nil, fmt.Errorf("make the data root: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(root, lockName), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the lock of the data root: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		if errors.Is(err, unix.EWOULDBLOCK) {
			err = fmt.Errorf("%w: %s; stop that one, or name another --data-volume", ErrInUse, readHolder(f))
		}
		return nil, errors.Join(fmt.Errorf("lock the data root %s: %w", root, err), f.Close())
	}
	if err := errors.Join(f.Truncate(0), write(f, holder)); err != nil {
		return nil, errors.Join(fmt.Errorf("name who has the data root: %w", err), f.Close())
	}
	return f, nil
}

func write(f *os.File, text string) error {
	_, err := f.WriteAt([]byte(text), 0)
	return err
}

// readHolder is who says to have locked the file. Its text is bounded: it may be anything.
func readHolder(f *os.File) string {
	text := make([]byte, 200)
	n, _ := f.ReadAt(text, 0) // it is shorter: that is no failure
	if n == 0 {
		return "one that has not said its name yet"
	}
	return strings.ToValidUTF8(string(text[:n]), "?")
}

// emptyData removes what an earlier daemon left in a data root that nobody wants kept.
func emptyData(root string) error {
	entries, err := os.ReadDir(root)
	if err != nil {
		return fmt.Errorf("list the data root: %w", err)
	}
	for _, e := range entries {
		if e.Name() == lockName {
			continue
		}
		if err := os.RemoveAll(filepath.Join(root, e.Name())); err != nil {
			return fmt.Errorf("empty the data root: %w", err)
		}
	}
	return nil
}

// removeStalePID removes the file with the number of a dockerd that is none any more:
// dockerd believes it where the number is another process's by now.
func removeStalePID(file string) (removed bool, err error) {
	text, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read the number of an earlier dockerd: %w", err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err == nil {
		program, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
		if err == nil && filepath.Base(program) == "dockerd" {
			return false, fmt.Errorf("start dockerd: process %d of %s is one already: end it first", pid, file)
		}
	}
	if err := os.Remove(file); err != nil {
		return false, fmt.Errorf("remove the number of a dockerd that has ended: %w", err)
	}
	return true, nil
}
