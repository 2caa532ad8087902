package dind

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// Record says how Docker got into an image, and how long that took.
type Record struct {
	Method   string        `json:"method"`
	Start    time.Time     `json:"start"`
	Duration time.Duration `json:"duration_ns"`
}

// WriteRecord keeps the record in the image that is being built.
func WriteRecord(path string, r Record) error {
	text, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("encode how Docker was installed: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("keep how Docker was installed: %w", err)
	}
	if err := os.WriteFile(path, text, 0o644); err != nil {
		return fmt.Errorf("keep how Docker was installed: %w", err)
	}
	return nil
}

// ReadRecord reads it; ok is false where there is none.
func ReadRecord(path string) (r Record, ok bool, err error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return r, false, nil
	}
	if err != nil {
		return r, false, fmt.Errorf("read how Docker was installed: %w", err)
	}
	if err := json.Unmarshal(text, &r); err != nil {
		return r, false, fmt.Errorf("%s is no record of an installation: %w", path, err)
	}
	return r, true, nil
}
