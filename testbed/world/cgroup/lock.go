package cgroup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/cenkalti/backoff/v5"
	"golang.org/x/sys/unix"
)

// Make makes a directory and locks it. Another process may take it for a left
// one in the moment between the two, and remove it: then it is made again.
func Make(path string, mode os.FileMode) (*os.File, error) {
	ctx, cancel := context.WithTimeout(context.Background(), removeLimit)
	defer cancel()
	return backoff.Retry(ctx, func() (*os.File, error) {
		if err := os.Mkdir(path, mode); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, backoff.Permanent(err)
		}
		lock, err := Lock(path)
		if err != nil {
			return nil, backoff.Permanent(err)
		}
		if lock == nil {
			return nil, fmt.Errorf("lock %s: another process holds it", path)
		}
		return lock, nil
	}, backoff.WithBackOff(backoff.NewConstantBackOff(5*time.Millisecond)))
}

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
