package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/cenkalti/backoff/v5"
	"golang.org/x/sys/unix"
)

// worldGroup matches the cgroups of a simulated runner, or of a test of one. It makes
// them on the host, at the root of each hierarchy, and can't remove them when it is killed.
var worldGroup = regexp.MustCompile(`^nestlab-(world-[0-9]+-[0-9a-f]{8}|test-[0-9]+)$`)

// worldsLimit is how long the kernel may take to let go of a killed run's processes.
const worldsLimit = 2 * time.Second

// engineCgroups are the cgroups that the engine makes on the host, one in each
// hierarchy ("buildkit" is its name for them).
func engineCgroups() ([]string, error) { return rootCgroups("buildkit") }

// rootCgroups are those cgroups at the root of any hierarchy whose names match the pattern.
func rootCgroups(pattern string) ([]string, error) {
	var all []string
	for _, root := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/*"} {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			return nil, fmt.Errorf("look for cgroups: %w", err)
		}
		all = append(all, found...)
	}
	return all, nil
}

// removeCgroups removes the engine's cgroups but those that were there before
// it. One that still has processes is not ours alone and stays.
func removeCgroups(before []string) error {
	now, err := engineCgroups()
	if err != nil {
		return err
	}
	var failed error
	for _, root := range now {
		if slices.Contains(before, root) {
			continue
		}
		if _, err := removeTree(root); err != nil {
			failed = errors.Join(failed, fmt.Errorf("remove the engine's cgroup: %w", err))
		}
	}
	return failed
}

// removeWorlds removes the cgroups of simulated runners that were killed. A living one
// holds their directories locked; what has processes stays too, and is told.
func removeWorlds(ctx context.Context, out *progress) error {
	var left []string
	again := errors.New("they have processes")
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		var err error
		if left, err = tryRemoveWorlds(); err != nil {
			return struct{}{}, backoff.Permanent(err)
		}
		if len(left) > 0 {
			return struct{}{}, again
		}
		return struct{}{}, nil
	}, backoff.WithBackOff(backoff.NewConstantBackOff(50*time.Millisecond)), backoff.WithMaxElapsedTime(worldsLimit))
	if errors.Is(err, again) {
		out.say("the cgroups of a run that has ended stay, for processes are in them: %s", strings.Join(left, " "))
		return nil
	}
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("remove the cgroups that a killed run left: %w; run make clean as root", err)
	}
	return err
}

// tryRemoveWorlds gives those that have processes.
func tryRemoveWorlds() (busy []string, err error) {
	all, err := rootCgroups("nestlab-*")
	if err != nil {
		return nil, err
	}
	for _, root := range all {
		if !worldGroup.MatchString(filepath.Base(root)) {
			continue
		}
		stays, removed := removeUnlocked(root)
		if stays {
			busy = append(busy, root)
		}
		err = errors.Join(err, removed)
	}
	return busy, err
}

// removeUnlocked removes a cgroup, with those in it, unless a living process holds its
// lock. It has the lock itself meanwhile: a run that has just made the cgroup makes it again.
func removeUnlocked(root string) (busy bool, err error) {
	lock, err := os.Open(root)
	if err != nil {
		return false, skipGone(err)
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	err = unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("lock %s: %w", root, err)
	}
	return removeTree(root)
}

// removeTree removes a cgroup and those in it, and tells whether one of them has processes.
func removeTree(root string) (busy bool, failed error) {
	var dirs []string
	failed = filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			dirs = append(dirs, p)
		}
		return skipGone(err)
	})
	slices.Reverse(dirs) // children first
	for _, d := range dirs {
		err := unix.Rmdir(d)
		switch {
		case errors.Is(err, syscall.EBUSY):
			busy = true
		case err != nil && !errors.Is(err, fs.ErrNotExist):
			failed = errors.Join(failed, fmt.Errorf("rmdir %s: %w", d, err))
		}
	}
	return busy, failed
}
