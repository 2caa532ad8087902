package remedy

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// setting is one of the kernel's settings.
type setting struct {
	// Path is below /proc/sys.
	Path   string `json:"path"`
	Before string `json:"before"`
	// After is empty for a setting that is only remembered, because another one
	// changes it along.
	After string `json:"after,omitempty"`
}

func (s *setting) String() string {
	name := strings.ReplaceAll(s.Path, "/", ".")
	if s.After == "" {
		return "sysctl " + name + " as before"
	}
	return "sysctl " + name + "=" + s.After
}

func (s *setting) lasts() bool  { return false }
func (s *setting) over() string { return s.Path }

func readSetting(path string) (string, error) {
	text, err := os.ReadFile(filepath.Join("/proc/sys", path))
	if err != nil {
		return "", err
	}
	return strings.TrimSpace(string(text)), nil
}

func writeSetting(path, value string) error {
	return os.WriteFile(filepath.Join("/proc/sys", path), []byte(value), 0o644)
}

func (s *setting) do(context.Context, func() error) error {
	if s.After == "" {
		return nil
	}
	return writeSetting(s.Path, s.After)
}

// undo leaves alone what someone else has set to a third value meanwhile.
func (s *setting) undo(context.Context) error {
	now, err := readSetting(s.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // its interface is gone
	}
	if err != nil {
		return err
	}
	if now == s.Before || (s.After != "" && now != s.After) {
		return nil
	}
	return writeSetting(s.Path, s.Before)
}

func (s *setting) in(context.Context) (bool, error) {
	if s.After == "" {
		return true, nil
	}
	now, err := readSetting(s.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return now == s.After, err
}

// change plans to set one setting.
func change(path, after string) (record, error) {
	before, err := readSetting(path)
	if err != nil {
		return record{}, fmt.Errorf("read the setting %s: %w", strings.ReplaceAll(path, "/", "."), err)
	}
	return record{Setting: &setting{Path: path, Before: before, After: after}}, nil
}

// remember plans to put back what matches the patterns below /proc/sys.
func remember(patterns ...string) ([]record, error) {
	var out []record
	for _, p := range patterns {
		paths, err := filepath.Glob(filepath.Join("/proc/sys", p))
		if err != nil {
			return nil, fmt.Errorf("list the settings %s: %w", p, err)
		}
		for _, path := range paths {
			r, err := change(strings.TrimPrefix(path, "/proc/sys/"), "")
			if errors.Is(err, fs.ErrNotExist) {
				continue // its interface went meanwhile
			}
			if err != nil {
				return nil, err
			}
			out = append(out, r)
		}
	}
	return out, nil
}
