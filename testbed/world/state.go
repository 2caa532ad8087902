package world

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/nestlab/nestlab/testbed/world/cgroup"
)

// state is a run's directory.
type state struct {
	dir  string
	lock *os.File
}

// newState makes the directory name in base and removes those of killed runs beside it.
func newState(base, name string) (*state, error) {
	if base == "" {
		base = os.TempDir()
	}
	base, err := filepath.Abs(base)
	if err != nil {
		return nil, fmt.Errorf("find the state directory: %w", err)
	}
	if err := os.MkdirAll(base, 0o755); err != nil {
		return nil, fmt.Errorf("make the state directory: %w", err)
	}
	if err := sweepStates(base); err != nil {
		return nil, fmt.Errorf("remove what a killed run left: %w", err)
	}
	dir := filepath.Join(base, name)
	lock, err := cgroup.Make(dir, 0o700)
	if err != nil {
		return nil, fmt.Errorf("make the run's state directory: %w", err)
	}
	return &state{dir: dir, lock: lock}, nil
}

// close removes the directory unless it is to be kept.
func (s *state) close(keep bool) error {
	var err error
	if keep {
		err = os.WriteFile(filepath.Join(s.dir, keptFile), nil, 0o600)
	} else {
		err = os.RemoveAll(s.dir)
	}
	if err != nil {
		err = fmt.Errorf("end the run's state directory: %w", err)
	}
	return errors.Join(err, s.lock.Close())
}

// keptFile marks a state directory that its user wanted to keep.
const keptFile = "kept"

func sweepStates(base string) error {
	entries, err := os.ReadDir(base)
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range entries {
		if e.IsDir() && runName.MatchString(e.Name()) {
			errs = append(errs, sweepState(filepath.Join(base, e.Name())))
		}
	}
	return errors.Join(errs...)
}

func sweepState(dir string) error {
	lock, err := cgroup.Lock(dir)
	if err != nil || lock == nil {
		return err
	}
	if _, kept := os.Stat(filepath.Join(dir, keptFile)); kept == nil {
		return lock.Close()
	}
	return errors.Join(os.RemoveAll(dir), lock.Close())
}
