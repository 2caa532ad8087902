package pipelines

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/nestlab/nestlab/diagnose"
	"github.com/nestlab/nestlab/internal/dagger"
	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/report"
)

// errorVariable tells the binary the run's ErrorFile.
const errorVariable = "NESTLAB_ERROR_FILE"

// Read gives the run of a directory: run.json, or what the journal holds where
// there is none. What ended it early is a note.
func Read(ctx context.Context, dir *dagger.Directory) (model.Run, error) {
	files, err := dir.Entries(ctx)
	if err != nil {
		return model.Run{}, fmt.Errorf("look at the run's files: %v", err)
	}
	why, err := contents(ctx, dir, files, model.ErrorFile)
	if err != nil {
		return model.Run{}, err
	}
	var run model.Run
	switch {
	case slices.Contains(files, model.RunFile):
		run, err = read(ctx, dir, files, model.RunFile)
	case slices.Contains(files, model.JournalFile):
		run, err = read(ctx, dir, files, model.JournalFile)
	case why != "":
		return model.Run{}, fmt.Errorf("nothing was observed: %s", why)
	default:
		return model.Run{}, errors.New("nothing was observed, and nothing says why")
	}
	if err == nil && why != "" && !slices.Contains(run.Notes, why) {
		run.Notes = append(run.Notes, why)
	}
	if err == nil && run.Diagnosis.Verdict == "" {
		run.Diagnosis = diagnose.Diagnose(run) // it ended before it came to that
	}
	return run, err
}

func read(ctx context.Context, dir *dagger.Directory, files []string, name string) (model.Run, error) {
	text, err := contents(ctx, dir, files, name)
	if err != nil {
		return model.Run{}, err
	}
	run, err := report.Read(strings.NewReader(text))
	if err != nil {
		return model.Run{}, fmt.Errorf("read %s: %w", name, err)
	}
	return run, nil
}

// contents are those of a file, empty where it is not there.
func contents(ctx context.Context, dir *dagger.Directory, files []string, name string) (string, error) {
	if !slices.Contains(files, name) {
		return "", nil
	}
	text, err := dir.File(name).Contents(ctx)
	if err != nil {
		return "", fmt.Errorf("read %s of the run: %v", name, err)
	}
	return strings.TrimSpace(text), nil
}

// Unfinished says why a run was not finished; empty where it was.
func Unfinished(ctx context.Context, dir *dagger.Directory) (string, error) {
	files, err := dir.Entries(ctx)
	if err != nil {
		return "", fmt.Errorf("look at the run's files: %v", err)
	}
	return contents(ctx, dir, files, model.ErrorFile)
}
