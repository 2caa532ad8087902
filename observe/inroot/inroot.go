// Package inroot reads files as a process with another root directory sees them. Whoever runs
// that process names the path and has made the files: a pipe would hang who opens it, a device
// may act, and a symbolic link would lead back to the own root.
package inroot

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Open opens a regular file; an empty root is the own one.
func Open(root, path string) (*os.File, error) {
	at, err := find(root, path)
	if err != nil {
		return nil, err
	}
	defer unix.Close(at)
	var what unix.Stat_t
	if err := unix.Fstat(at, &what); err != nil {
		return nil, &os.PathError{Op: "stat", Path: path, Err: err}
	}
	null := what.Mode&unix.S_IFMT == unix.S_IFCHR && what.Rdev == unix.Mkdev(1, 3) // often given for none
	if what.Mode&unix.S_IFMT != unix.S_IFREG && !null {
		return nil, &os.PathError{Op: "open", Path: path, Err: ErrNotRegular}
	}
	return os.Open(fmt.Sprintf("/proc/self/fd/%d", at))
}

// Errors of files that are not read.
var (
	ErrNotRegular = errors.New("it is no regular file")
	ErrTooLong    = errors.New("it is too long")
)

// Read reads a regular file that is not longer than a limit.
func Read(root, path string, limit int64) ([]byte, error) {
	f, err := Open(root, path)
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	if int64(len(text)) > limit {
		return nil, &os.PathError{Op: "read", Path: path, Err: ErrTooLong}
	}
	return text, nil
}

// Dir lists a directory.
func Dir(root, path string) ([]os.DirEntry, error) {
	at, err := find(root, path)
	if err != nil {
		return nil, err
	}
	defer unix.Close(at)
	return os.ReadDir(fmt.Sprintf("/proc/self/fd/%d", at))
}

// find opens a path without its content.
func find(root, path string) (int, error) {
	const flags = unix.O_PATH | unix.O_CLOEXEC
	if root == "" {
		at, err := unix.Open(path, flags, 0)
		return at, wrong(path, err)
	}
	dir, err := unix.Open(root, flags|unix.O_DIRECTORY, 0)
	if err != nil {
		return -1, wrong(root, err)
	}
	defer unix.Close(dir)
	at, err := unix.Openat2(dir, path, &unix.OpenHow{Flags: flags, Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS})
	if errors.Is(err, unix.ENOSYS) && own(root) { // before Linux 5.6
		at, err = unix.Open(filepath.Join(root, path), flags, 0)
	}
	return at, wrong(path, err)
}

// own reports whether a root directory is that of this process.
func own(root string) bool {
	one, err := os.Stat(root)
	other, err2 := os.Stat("/")
	return err == nil && err2 == nil && os.SameFile(one, other)
}

func wrong(path string, err error) error {
	if err == nil {
		return nil
	}
	return &os.PathError{Op: "open", Path: path, Err: err}
}
