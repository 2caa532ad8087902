package remedy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// file is a file's content.
type file struct {
	Path string `json:"path"`
	// Before is nil where there was no such file.
	Before *content `json:"before"`
	After  []byte   `json:"after"`
}

// content is a file byte for byte, with its mode, owner and time.
type content struct {
	Bytes    []byte      `json:"bytes"`
	Mode     fs.FileMode `json:"mode"`
	UID      int         `json:"uid"`
	GID      int         `json:"gid"`
	Modified time.Time   `json:"modified"`
}

func (f *file) String() string { return "file " + f.Path }
func (f *file) lasts() bool    { return true }
func (f *file) over() string   { return f.Path }

// behind is the file that a path leads to: a link is to stay one, with what it
// leads to changed. The file itself need not be there.
func behind(path string) (string, error) {
	real, err := filepath.EvalSymlinks(path)
	if err == nil || !errors.Is(err, fs.ErrNotExist) {
		return real, err
	}
	if _, err := os.Lstat(path); err == nil {
		return "", fmt.Errorf("%s is a link that leads nowhere; remove it, or make the file that it leads to", path)
	}
	dir, err := filepath.EvalSymlinks(filepath.Dir(path))
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, filepath.Base(path)), nil
}

// readContent is nil where there is no such file.
func readContent(path string) (*content, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	st := info.Sys().(*syscall.Stat_t)
	return &content{Bytes: text, Mode: info.Mode().Perm(), UID: int(st.Uid), GID: int(st.Gid), Modified: info.ModTime()}, nil
}

func (f *file) do(context.Context, func() error) error {
	mode := fs.FileMode(0o644)
	if f.Before != nil {
		mode = f.Before.Mode
	}
	return f.put(f.After, mode)
}

// put replaces the content in one step, and in place where the file is a mount
// point, as resolv.conf and certificates in containers are.
func (f *file) put(text []byte, mode fs.FileMode) error {
	err := replaceFile(f.Path, text, mode)
	if errors.Is(err, unix.EBUSY) || errors.Is(err, unix.EXDEV) {
		return os.WriteFile(f.Path, text, mode)
	}
	if err == nil && f.Before != nil {
		err = os.Chown(f.Path, f.Before.UID, f.Before.GID)
	}
	return err
}

func (f *file) undo(context.Context) error {
	if err := os.Remove(f.Path + temporary); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove what a killed run left: %w", err)
	}
	now, err := readContent(f.Path)
	if err != nil {
		return err
	}
	switch {
	case now == nil && f.Before == nil:
		return nil
	case now != nil && !f.ours(now.Bytes):
		return fmt.Errorf("it was changed since by someone else; put it right by hand (what it was is in the journal, base64 in before.bytes), then take the step out of the journal")
	case f.Before == nil:
		return os.Remove(f.Path)
	case now == nil || !bytes.Equal(now.Bytes, f.Before.Bytes) || now.Mode != f.Before.Mode:
		if err := f.put(f.Before.Bytes, f.Before.Mode); err != nil {
			return err
		}
	}
	// The owner too in any case: who was killed may have put back the rest alone.
	if err := os.Chown(f.Path, f.Before.UID, f.Before.GID); err != nil {
		return err
	}
	return os.Chtimes(f.Path, time.Time{}, f.Before.Modified)
}

// ours says whether nestlab wrote this, a write in place that was cut short included.
func (f *file) ours(now []byte) bool {
	return bytes.HasPrefix(f.After, now) || (f.Before != nil && bytes.HasPrefix(f.Before.Bytes, now))
}

func (f *file) in(context.Context) (bool, error) {
	now, err := readContent(f.Path)
	return now != nil && bytes.Equal(now.Bytes, f.After), err
}

// write plans a file's new content.
func write(path string, before *content, after []byte) record {
	return record{File: &file{Path: path, Before: before, After: after}}
}

// mode is a file's permissions.
type mode struct {
	Path   string      `json:"path"`
	Before fs.FileMode `json:"before"`
	After  fs.FileMode `json:"after"`
}

func (m *mode) String() string                         { return fmt.Sprintf("mode %04o of %s", m.After, m.Path) }
func (m *mode) lasts() bool                            { return false }
func (m *mode) over() string                           { return m.Path }
func (m *mode) do(context.Context, func() error) error { return os.Chmod(m.Path, m.After) }

func (m *mode) undo(ctx context.Context) error {
	there, err := m.in(ctx)
	if err != nil || !there {
		return err
	}
	return os.Chmod(m.Path, m.Before)
}

func (m *mode) in(context.Context) (bool, error) {
	info, err := os.Stat(m.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return info.Mode().Perm() == m.After, nil
}

// symlink is where a symbolic link leads.
type symlink struct {
	Path   string `json:"path"`
	Before string `json:"before"`
	After  string `json:"after"`
}

func (s *symlink) String() string                         { return "link " + s.Path + " to " + s.After }
func (s *symlink) lasts() bool                            { return true }
func (s *symlink) over() string                           { return s.Path }
func (s *symlink) do(context.Context, func() error) error { return s.set(s.After) }

func (s *symlink) set(to string) error {
	tmp := s.Path + temporary
	if err := os.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Symlink(to, tmp); err != nil {
		return err
	}
	return os.Rename(tmp, s.Path)
}

func (s *symlink) undo(ctx context.Context) error {
	if err := os.Remove(s.Path + temporary); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove what a killed run left: %w", err)
	}
	there, err := s.in(ctx)
	if err != nil || !there {
		return err
	}
	return s.set(s.Before)
}

func (s *symlink) in(context.Context) (bool, error) {
	to, err := os.Readlink(s.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return to == s.After, err
}
