package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// Lock opens a directory and locks it for as long as it stays open: the sign
// that its owner lives, which no kill can leave behind. A directory that is
// locked by another, or gone by the time it is locked, gives nil.
func Lock(path string) (*os.File, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return nil, f.Close()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), f.Close())
	}
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil, f.Close()
	}
	return f, nil
}
