package dind

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"runtime"
)

const (
	// programsPath is where the archive's go: not where packages have theirs.
	programsPath = "/usr/local/bin"
	// maxArchive and maxProgram are the most that the archive and one program in it may
	// have, in bytes.
	maxArchive, maxProgram = 512 << 20, 512 << 20
)

// static unpacks the vendor's archive.
func (i Install) static(ctx context.Context) (err error) {
	machine := map[string]string{"amd64": "x86_64", "arm64": "aarch64"}[runtime.GOARCH]
	if machine == "" {
		return fmt.Errorf("there is no archive for %s: use another method", runtime.GOARCH)
	}
	if err := i.prepare(ctx); err != nil {
		return err
	}
	address := fmt.Sprintf("%s/linux/static/stable/%s/docker-%s.tgz", i.Download(), machine, i.Version)
	archive, err := i.download(ctx, address, maxArchive, i.Checksum)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.Remove(archive)) }()
	f, err := os.Open(archive)
	if err != nil {
		return fmt.Errorf("open the archive: %w", err)
	}
	defer f.Close()
	if err := unpack(f, programsPath); err != nil {
		return fmt.Errorf("unpack %s: %w", address, err)
	}
	return nil
}

// unpack puts the files of an archive's directory docker into a directory. What else an
// archive may have (links, devices, other directories) is none of the vendor's.
func unpack(r io.Reader, dir string) error {
	zipped, err := gzip.NewReader(r)
	if err != nil {
		return err
	}
	n := 0
	for t := tar.NewReader(zipped); ; {
		head, err := t.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		name := path.Clean(head.Name)
		switch {
		case head.Typeflag == tar.TypeDir && name == "docker":
			continue
		case head.Typeflag != tar.TypeReg || path.Dir(name) != "docker":
			return fmt.Errorf("it has %.80q: the vendor's archives have files in the directory docker alone", head.Name)
		case head.Size > maxProgram:
			return fmt.Errorf("%s has %d bytes: more than %d", name, head.Size, maxProgram)
		}
		if err := place(filepath.Join(dir, path.Base(name)), t); err != nil {
			return err
		}
		n++
	}
	if n == 0 {
		return errors.New("it has no programs in the directory docker")
	}
	return zipped.Close()
}

// place writes a program, whole or not at all.
func place(path string, from io.Reader) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".nestlab-")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	_, err = io.Copy(f, from)
	err = errors.Join(err, f.Chmod(0o755), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("write %s: %w", path, err), os.Remove(f.Name()))
	}
	return nil
}
