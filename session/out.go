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
	file, err := os.Create(filepath.Join(dir, model.JournalFile))
	if err != nil {
		return fmt.Errorf("make the journal: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	s.Append = report.NewJournal(file).Append
	s.before = before
	_, err = s.Run(ctx, plan, version)
	s.note(err)
	return errors.Join(before, err, WriteRun(filepath.Join(dir, model.RunFile), s.run))
}

// Prepare makes the directory for a run, without the files of an earlier one: a run
// that is killed must not be taken for that.
func Prepare(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make the directory for the results: %w", err)
	}
	for _, name := range []string{model.RunFile, model.RunFile + unfinished, model.JournalFile} {
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
		return fmt.Errorf("write the run: %w", errors.Join(err, os.Remove(tmp)))
	}
	return os.Rename(tmp, path)
}

// Label adds to a run that is over what nobody in it was told: to its journal, and to
// its file.
func Label(dir string, labels model.Labels) error {
	e := model.Entry{Labels: &labels}
	path := filepath.Join(dir, model.RunFile)
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("read the run: %w", err)
	}
	run, err := report.Decode(file)
	if err := errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("read the run: %w", err)
	}
	if err := run.Add(e); err != nil {
		return fmt.Errorf("label the run: %w", err)
	}
	if err := amend(dir, e); err != nil {
		return fmt.Errorf("label the run: %w", err)
	}
	return WriteRun(path, run)
}

// Rebuild writes a run's file from its journal, and why it ended into both. Without a
// journal nothing was observed, and nothing is written.
func Rebuild(dir string, why error) error {
	path := filepath.Join(dir, model.JournalFile)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if why != nil {
		if err := amend(dir, model.Entry{Note: model.Clip(why.Error(), model.MaxMessage)}); err != nil {
			return err
		}
	}
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("read the journal: %w", err)
	}
	run, err := report.Fold(file)
	if err := errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("read the journal: %w", err)
	}
	return WriteRun(filepath.Join(dir, model.RunFile), run)
}

// amend appends an entry to the journal of a run that is over.
func amend(dir string, e model.Entry) error {
	file, err := os.OpenFile(filepath.Join(dir, model.JournalFile), os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("open the journal: %w", err)
	}
	// The writer starts at the end, on a line of its own.
	return errors.Join(report.NewJournal(file).Append(e), file.Close())
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
