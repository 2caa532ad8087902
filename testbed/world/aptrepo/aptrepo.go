// Package aptrepo makes an apt repository of Debian packages, for the simulated
// internet's archive.
package aptrepo

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/clearsign"
)

const (
	// Suite and Component are what a sources.list line names after the address.
	Suite     = "bookworm"
	Component = "main"

	architecture = "amd64"
)

// Repository is how one is to be made.
type Repository struct {
	Component string
	// Key signs it; nil for one that says trusted=yes where it is used.
	Key *openpgp.Entity
}

// Build makes the repository of the simulated archive, so that
//
//	deb [trusted=yes] URL bookworm main
//
// works with what is served from out.
func Build(ctx context.Context, debs, out string) error {
	return Repository{Component: Component}.Build(ctx, debs, out)
}

// Build copies the .deb files of the directory debs to the directory out and indexes them
// there. It needs apt-ftparchive (apt-utils).
func (r Repository) Build(ctx context.Context, debs, out string) error {
	packages, err := filepath.Glob(filepath.Join(debs, "*.deb"))
	if err != nil {
		return fmt.Errorf("look for packages in %s: %w", debs, err)
	}
	if len(packages) == 0 {
		return fmt.Errorf("make an apt repository: %s holds no .deb file", debs)
	}
	pool := filepath.Join(out, "pool")
	index := filepath.Join(out, "dists", Suite, r.Component, "binary-"+architecture)
	for _, dir := range []string{pool, index} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("make an apt repository: %w", err)
		}
	}
	for _, p := range packages {
		if err := place(p, filepath.Join(pool, filepath.Base(p))); err != nil {
			return fmt.Errorf("put %s into the apt repository: %w", filepath.Base(p), err)
		}
	}
	list, said, err := ftparchive(ctx, out, "packages", "pool")
	if err != nil {
		return err
	}
	if err := checkComplete(list, pool, said); err != nil {
		return err
	}
	if err := writeIndex(index, list); err != nil {
		return fmt.Errorf("write the apt repository's index: %w", err)
	}
	return r.release(ctx, out)
}

// checkComplete makes sure that every package is in the list: apt-ftparchive
// leaves out what it cannot read and is content.
func checkComplete(list []byte, pool string, said []byte) error {
	packages, err := filepath.Glob(filepath.Join(pool, "*.deb"))
	if err != nil {
		return fmt.Errorf("list the apt repository's packages: %w", err)
	}
	if got := bytes.Count(list, []byte("\nFilename: ")); got != len(packages) {
		return fmt.Errorf("index the apt repository: %d of %d packages could be read: %s", got, len(packages), said)
	}
	return nil
}

// place links a file, or copies it where that cannot be done.
func place(from, to string) error {
	if err := os.Remove(to); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if os.Link(from, to) == nil {
		return nil
	}
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	f, err := os.Create(to)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, in)
	return errors.Join(err, f.Close())
}

func writeIndex(dir string, list []byte) error {
	var zipped bytes.Buffer
	w := gzip.NewWriter(&zipped)
	if _, err := w.Write(list); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(filepath.Join(dir, "Packages"), list, 0o644),
		os.WriteFile(filepath.Join(dir, "Packages.gz"), zipped.Bytes(), 0o644),
	)
}

// release writes the file with the sums of the indexes, and the signed one where there is
// a key.
func (r Repository) release(ctx context.Context, out string) error {
	file := filepath.Join(out, "dists", Suite, "Release")
	if err := os.Remove(file); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("write the apt repository's release file: %w", err)
	}
	const option = "APT::FTPArchive::Release::"
	text, _, err := ftparchive(ctx, out,
		"-o", option+"Origin=nestlab", "-o", option+"Label=nestlab",
		"-o", option+"Suite="+Suite, "-o", option+"Codename="+Suite,
		"-o", option+"Components="+r.Component, "-o", option+"Architectures="+architecture,
		"release", filepath.Join("dists", Suite))
	if err != nil {
		return err
	}
	if err := os.WriteFile(file, text, 0o644); err != nil {
		return fmt.Errorf("write the apt repository's release file: %w", err)
	}
	if r.Key == nil {
		return nil
	}
	return sign(r.Key, text, filepath.Join(filepath.Dir(file), "InRelease"))
}

// sign writes a text with its signature around it.
func sign(key *openpgp.Entity, text []byte, path string) error {
	var signed bytes.Buffer
	w, err := clearsign.Encode(&signed, key.PrivateKey, nil)
	if err == nil {
		_, err = w.Write(text)
		err = errors.Join(err, w.Close())
	}
	if err != nil {
		return fmt.Errorf("sign the apt repository: %w", err)
	}
	if err := os.WriteFile(path, signed.Bytes(), 0o644); err != nil {
		return fmt.Errorf("sign the apt repository: %w", err)
	}
	return nil
}

// ftparchive gives what apt-ftparchive wrote and what it said about it.
func ftparchive(ctx context.Context, dir string, args ...string) (written, said []byte, err error) {
	cmd := exec.CommandContext(ctx, "apt-ftparchive", args...)
	cmd.Dir = dir
	var out, errors bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errors
	if err := cmd.Run(); err != nil {
		return nil, nil, fmt.Errorf("index the apt repository %s with apt-ftparchive (of apt-utils): %w: %s", dir, err, errors.Bytes())
	}
	return out.Bytes(), errors.Bytes(), nil
}
