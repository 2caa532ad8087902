package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// artifact is a thing that is built once and kept: files or directories.
type artifact struct {
	name  string   // of its stamp and log
	title string   // what the user is told that is done
	paths []string // what it makes, relative to the cache
	key   string   // what it is made from: another key, another artifact
	// build makes each path's base name in the directory it is given.
	build func(ctx context.Context, tmp string) error
}

// stamp says what an artifact was made from and what was made.
type stamp struct {
	Key   string          `json:"key"`
	Paths map[string]look `json:"paths"`
}

// look is how a path looked when it was made. Cheap (size and time, for a
// directory those of everything in it) is compared at every start; Digest is
// the SHA-256 of a file's content, compared when Cheap differs.
type look struct {
	Cheap  string `json:"cheap"`
	Digest string `json:"digest"`
}

// recipe is the key of an artifact that is made from these parts.
func recipe(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s,", len(p), p)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// ensure builds an artifact unless it is there, whole and made from the same
// recipe. It gives a digest of what the artifact holds.
func (c cache) ensure(ctx context.Context, out *progress, a artifact) (string, error) {
	st, why := c.check(a)
	if why != "" {
		err := out.step(ctx, a.title+" ("+why+")", func(ctx context.Context) error {
			var err error
			st, err = c.make(ctx, a)
			return err
		})
		if err != nil {
			return "", fmt.Errorf("%s: %w", a.title, err)
		}
	}
	parts := []string{a.name}
	for _, p := range a.paths {
		parts = append(parts, p, st.Paths[p].Digest)
	}
	return recipe(parts...), nil
}

// check says why an artifact must be built, or nothing if it is whole.
func (c cache) check(a artifact) (stamp, string) {
	var st stamp
	b, err := os.ReadFile(c.path("stamps", a.name))
	if err != nil {
		return st, "not built yet"
	}
	if err := json.Unmarshal(b, &st); err != nil {
		return st, "its stamp is broken"
	}
	if st.Key != a.key {
		return st, "its recipe has changed"
	}
	for _, p := range a.paths {
		was, ok := st.Paths[p]
		if !ok {
			return st, p + " is not in its stamp"
		}
		is, err := cheapLook(c.path(p))
		if err != nil {
			return st, p + " is missing or unreadable"
		}
		if is == was.Cheap {
			continue
		}
		if digest, err := fileDigest(c.path(p)); err != nil || digest != was.Digest {
			return st, p + " is not as it was built"
		}
	}
	return st, ""
}

// make builds an artifact beside the cache's own files and moves it in whole.
func (c cache) make(ctx context.Context, a artifact) (stamp, error) {
	st := stamp{Key: a.key, Paths: map[string]look{}}
	tmp := c.path("tmp", a.name)
	if err := os.RemoveAll(tmp); err != nil {
		return st, err
	}
	if err := os.MkdirAll(tmp, 0o755); err != nil {
		return st, err
	}
	if err := a.build(ctx, tmp); err != nil {
		return st, err
	}
	// From here to the new stamp the artifact counts as not built.
	if err := os.RemoveAll(c.path("stamps", a.name)); err != nil {
		return st, err
	}
	for _, p := range a.paths {
		if err := os.RemoveAll(c.path(p)); err != nil {
			return st, err
		}
		if err := os.Rename(filepath.Join(tmp, filepath.Base(p)), c.path(p)); err != nil {
			return st, err
		}
		l, err := lookAt(c.path(p))
		if err != nil {
			return st, err
		}
		st.Paths[p] = l
	}
	if err := os.RemoveAll(tmp); err != nil {
		return st, err
	}
	return st, writeJSON(c.path("stamps", a.name), st)
}

func lookAt(path string) (look, error) {
	cheap, err := cheapLook(path)
	if err != nil {
		return look{}, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return look{}, err
	}
	if info.IsDir() {
		return look{Cheap: cheap, Digest: cheap}, nil
	}
	digest, err := fileDigest(path)
	return look{Cheap: cheap, Digest: digest}, err
}

// cheapLook is a digest of names, modes, sizes and times of all that is at path.
func cheapLook(path string) (string, error) {
	h := sha256.New()
	err := filepath.WalkDir(path, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(path, p)
		if err != nil {
			return err
		}
		fmt.Fprintf(h, "%q %v ", rel, info.Mode())
		if info.Mode().IsRegular() {
			fmt.Fprintf(h, "%d %d ", info.Size(), info.ModTime().UnixNano())
		}
		return nil
	})
	return hex.EncodeToString(h.Sum(nil)), err
}

func fileDigest(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("digest %s: %w", path, err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// writeJSON replaces a file whole: a reader sees the old one or the new one.
func writeJSON(path string, v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("encode %s: %w", path, err)
	}
	if err := os.WriteFile(path+".new", append(b, '\n'), 0o644); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// onDisk is what a file takes on disk in bytes, and its inode.
func onDisk(info fs.FileInfo) (int64, uint64) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return info.Size(), 0
	}
	return st.Blocks * 512, st.Ino
}

// skipGone forgives a file that went away while a directory was walked.
func skipGone(err error) error {
	if os.IsNotExist(err) {
		return nil
	}
	return err
}
