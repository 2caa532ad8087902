package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// supervisorGrace is what the supervisor gets to end its children: more than
// they get from it.
const supervisorGrace = engineGrace + uplinkGrace + 25*time.Second

// down stops our engine. An engine that is not ours is left alone.
func down(ctx context.Context, c cache) error {
	return c.exclusively(ctx, func(out *progress) error {
		stopped, err := c.stop(ctx, out)
		if !stopped && err == nil {
			out.say("no engine of ours is running")
		}
		return err
	})
}

// clean stops our engine and removes the cache.
func clean(ctx context.Context, c cache) error {
	return c.exclusively(ctx, func(out *progress) error {
		if _, err := c.stop(ctx, out); err != nil {
			return err
		}
		return out.step(ctx, "remove "+c.dir, func(context.Context) error { return removeAll(c.dir) })
	})
}

// exclusively does something under the lock, if there is a cache at all. What killed
// runs left on the host goes after it: they may have been another engine's.
func (c cache) exclusively(ctx context.Context, do func(*progress) error) error {
	out := newProgress(os.Stderr)
	if _, err := os.Stat(c.dir); errors.Is(err, fs.ErrNotExist) {
		out.say("there is no engine of ours")
		return removeWorlds(ctx, out)
	}
	unlock, err := c.lock(ctx, out)
	if err != nil {
		return err
	}
	return errors.Join(do(out), removeWorlds(ctx, out), unlock())
}

// stop ends what runs, or what is left of it, tidies up after it, and tells
// whether there was anything.
func (c cache) stop(ctx context.Context, out *progress) (bool, error) {
	var st state
	there, err := readJSON(c.statePath(), &st)
	if err != nil || !there {
		return false, err
	}
	return true, out.step(ctx, "stop the engine", func(ctx context.Context) error {
		// The supervisor ends the other two; they are asked only if it is gone.
		err := errors.Join(st.Supervisor.end(ctx, supervisorGrace), st.Engine.end(ctx, engineGrace),
			st.Uplink.end(ctx, uplinkGrace))
		if err != nil {
			return err
		}
		return c.tidy(st)
	})
}

// removeAll removes a directory in which other people's builds have left
// directories that even their owner may not write to.
func removeAll(dir string) error {
	err := os.RemoveAll(dir)
	if err == nil {
		return nil
	}
	walked := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			err = os.Chmod(p, 0o700)
		}
		return skipGone(err)
	})
	if walked != nil {
		return fmt.Errorf("remove %s: %w", dir, walked)
	}
	return os.RemoveAll(dir)
}

// roomToBuild fails early where the disk is too small for a build. What is
// built already counts as room.
func (c cache) roomToBuild() error {
	var fsStat unix.Statfs_t
	if err := unix.Statfs(c.dir, &fsStat); err != nil {
		return fmt.Errorf("look how much room %s has: %w", c.dir, err)
	}
	free := int64(fsStat.Bavail) * fsStat.Bsize
	if _, err := os.Stat(c.path("stamps", "images")); err == nil || free >= diskNeeded {
		return nil
	}
	return fmt.Errorf("%s has %.1f GB free and the engine needs %.0f: make room or set NESTLAB_CACHE to another disk",
		c.dir, float64(free)/1e9, float64(diskNeeded)/1e9)
}
