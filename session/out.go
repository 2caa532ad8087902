package session

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/report"
)

// The files of a run.
const (
	JournalFile = "journal.jsonl"
	RunFile     = "run.json"
)

// Write carries the session out and keeps it in a directory: the journal as
// things are observed, the run at the end, whatever the end was. What went wrong
// before it is noted first, for the diagnosis to read.
func (s *Session) Write(ctx context.Context, dir string, plan model.Plan, version string, before error) (err error) {
	// Before the results of an earlier run go: this one may be refused.
	release, err := s.hold(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, release()) }()
	if err := Prepare(dir); err != nil {
		return err
	}
	file, err := os.Create(filepath.Join(dir, JournalFile))
	if err != nil {
		return fmt.Errorf("make the journal: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	s.Append = report.NewJournal(file).Append
	s.before = before
	_, err = s.Run(ctx, plan, version)
	s.note(err)
	return errors.Join(before, err, WriteRun(filepath.Join(dir, RunFile), s.run))
}

// Prepare makes the directory for a run, without the files of an earlier one: a run
// that is killed must not be taken for that.
func Prepare(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make the directory for the results: %w", err)
	}
	for _, name := range []string{RunFile, RunFile + unfinished, JournalFile} {
		if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove the results of an earlier run: %w", err)
		}
	}
	return nil
}

// unfinished ends the name of a run's file that is being written.
const unfinished = ".tmp"

// WriteRun writes a run's file in one step, so that a half-written one is never seen.
func WriteRun(path string, run model.Run) error {
	tmp := path + unfinished
	f, err := os.Create(tmp)
	if err != nil {
		return fmt.Errorf("write the run: %w", err)
	}
	if err := errors.Join(report.Encode(f, run), f.Close()); err != nil {
		return fmt.Errorf("write the run: %w", err)
	}
	return os.Rename(tmp, path)
}

// Items lists what the lanes are going to do.
func Items(lanes [][]Environment) []model.PlanItem {
	var items []model.PlanItem
	for _, lane := range lanes {
		for _, env := range lane {
			items = append(items, model.PlanItem{Place: env.Place(), Suites: env.Suites()})
		}
	}
	return items
}
