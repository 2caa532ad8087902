package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// maxSocketPath is the longest path that a unix socket can have on Linux, in
// bytes, without the closing zero (sun_path in unix(7)).
const maxSocketPath = 107

// cache is the directory that holds all that is built and run.
//
//	bin/          the CLI, the engine and its helpers
//	roots/        Debian root file systems, as tar files
//	sdk/          the layer that makes a root the Go SDK's image
//	engine-root/  the engine's root file system, unpacked
//	images/       OCI layout: the mirror's images and the engine's builtin content
//	state/        what the engine keeps: snapshots, cache volumes
//	run/          socket, state of the running engine, mount points
//	log/          one log for each job
//	stamps/       what each artifact was made from, and how to tell it is whole
//	tmp/          half-built things; emptied at every start
type cache struct{ dir string }

// openCache finds the cache directory; it makes nothing.
func openCache(lookup func(string) (string, bool)) (cache, error) {
	base, ok := lookup("NESTLAB_CACHE")
	if !ok || base == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return cache{}, fmt.Errorf("find the user's cache directory: %w; set NESTLAB_CACHE to a directory", err)
		}
		base = filepath.Join(user, "nestlab")
	}
	base, err := filepath.Abs(base)
	if err != nil {
		return cache{}, fmt.Errorf("make NESTLAB_CACHE absolute: %w", err)
	}
	c := cache{dir: filepath.Join(base, "engine")}
	if n := len(c.socket()); n > maxSocketPath {
		return cache{}, fmt.Errorf("the socket's path %s has %d bytes, a unix socket takes %d: set NESTLAB_CACHE to a shorter directory",
			c.socket(), n, maxSocketPath)
	}
	return c, nil
}

func (c cache) path(elem ...string) string {
	return filepath.Join(append([]string{c.dir}, elem...)...)
}

// socket is the unix socket that our engine listens on.
func (c cache) socket() string { return c.path("run", "sock", "engine.sock") }

// bin is a binary that was built.
func (c cache) bin(name string) string { return c.path("bin", name) }

// prepare makes the directories and empties tmp. Only the lock's holder may.
func (c cache) prepare() error {
	if err := os.RemoveAll(c.path("tmp")); err != nil {
		return fmt.Errorf("empty the cache's tmp: %w", err)
	}
	for _, d := range []string{"bin", "roots", "sdk", "state", "run/sock", "run/scratch", "run/root", "log", "stamps", "tmp"} {
		if err := os.MkdirAll(c.path(d), 0o755); err != nil {
			return fmt.Errorf("make the cache: %w", err)
		}
	}
	return nil
}

// size is what a directory's files take on disk, in bytes; hard links count once.
func size(dir string) (int64, error) {
	var total int64
	seen := map[uint64]bool{}
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil {
			return skipGone(err)
		}
		info, err := d.Info()
		if err != nil {
			return skipGone(err)
		}
		blocks, inode := onDisk(info)
		if !seen[inode] {
			seen[inode] = true
			total += blocks
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("measure %s: %w", dir, err)
	}
	return total, nil
}
