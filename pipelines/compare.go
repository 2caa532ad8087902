package pipelines

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/nestlab/nestlab/diagnose"
	"github.com/nestlab/nestlab/internal/dagger"
	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/report"
	"github.com/nestlab/nestlab/spec"
	"github.com/nestlab/nestlab/spec/targets"
)

// Check validates a request, and the caller's targets, before anything is built.
func (o Options) Check(ctx context.Context, r spec.Request, internet spec.Internet) error {
	if err := r.Validate(); err != nil || o.Targets == nil {
		return err
	}
	if internet == spec.Simulated {
		return errors.New("--targets and --internet simulated exclude each other: the simulated internet has targets of its own")
	}
	text, err := o.Targets.Contents(ctx)
	if err != nil {
		return fmt.Errorf("read the targets: %v", err)
	}
	if _, err := targets.Parse(strings.NewReader(text)); err != nil {
		return fmt.Errorf("read the targets: %w", err)
	}
	return nil
}

// Compare runs a plain container and both phases of Docker-in-Docker, one after
// the other, for their times are compared, and joins them with results taken
// elsewhere, and with the machine of a Docker daemon where its socket is given.
func (o Options) Compare(ctx context.Context, c spec.Compare, results *dagger.Directory, docker *dagger.Socket) (*dagger.Directory, error) {
	var runs []model.Run
	if results != nil {
		elsewhere, err := Load(ctx, results)
		if err != nil {
			return nil, err
		}
		runs = append(runs, elsewhere...)
	}
	here, err := o.parts(c)
	if err != nil {
		return nil, err
	}
	if docker != nil {
		control, err := Machine{o, docker}.control(c)
		if err != nil {
			return nil, err
		}
		here = append([]*dagger.Directory{control}, here...)
	}
	for _, dir := range here {
		part, err := Load(ctx, dir)
		if err != nil {
			return nil, err
		}
		runs = append(runs, part...)
	}
	joined, err := report.Merge(runs...)
	if err != nil {
		return nil, err
	}
	joined.Plan.Command, joined.Plan.Internet = string(c.Command()), string(c.Internet)
	joined.Diagnosis = diagnose.Diagnose(joined)
	return directory(o.Images.Dag, joined)
}

// parts are the runs that a comparison makes.
func (o Options) parts(c spec.Compare) ([]*dagger.Directory, error) {
	plain, err := o.Container(c)
	all := []*dagger.Directory{plain}
	for _, d := range c.Dinds() {
		nested, failed := o.Dind(d)
		all, err = append(all, nested), errors.Join(err, failed)
	}
	return all, err
}

// directory is a run as the files that every run has.
func directory(dag *dagger.Client, run model.Run) (*dagger.Directory, error) {
	var whole, journal strings.Builder
	err := report.Encode(&whole, run)
	lines := report.NewJournal(&journal)
	for _, e := range run.Entries() {
		err = errors.Join(err, lines.Append(e))
	}
	if err != nil {
		return nil, fmt.Errorf("write the joined run: %w", err)
	}
	return Directory(dag, map[string]string{model.RunFile: whole.String(), model.JournalFile: journal.String()})
}

// Directory hands texts to the engine as files, by way of this module's own
// disk: as arguments they would fill the logs.
func Directory(dag *dagger.Client, files map[string]string) (*dagger.Directory, error) {
	dir, err := os.MkdirTemp(".", "files-")
	if err != nil {
		return nil, fmt.Errorf("make a directory for the reports: %w", err)
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return nil, fmt.Errorf("write %s: %w", name, err)
		}
	}
	return dag.CurrentModule().Workdir(dir), nil
}

// Load reads the runs in a directory: in each of its folders run.json, or the
// journal where a run did not get that far.
func Load(ctx context.Context, dir *dagger.Directory) ([]model.Run, error) {
	whole, err := dir.Glob(ctx, "**/"+model.RunFile)
	if err != nil {
		return nil, fmt.Errorf("look for runs: %v", err)
	}
	journals, err := dir.Glob(ctx, "**/"+model.JournalFile)
	if err != nil {
		return nil, fmt.Errorf("look for journals: %v", err)
	}
	files := map[string]string{}
	for _, f := range append(journals, whole...) {
		files[path.Dir(f)] = f
	}
	if len(files) == 0 {
		return nil, errors.New("no run.json and no journal.jsonl in the results: give the directory that `dagger call ... export` or `nestlab probe --out` wrote")
	}
	var runs []model.Run
	for _, name := range sorted(files) {
		text, err := dir.File(name).Contents(ctx)
		if err != nil {
			return nil, fmt.Errorf("read %s: %v", name, err)
		}
		read := report.Decode
		if path.Base(name) == model.JournalFile {
			read = report.Fold
		}
		run, err := read(strings.NewReader(text))
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
		runs = append(runs, run)
	}
	return runs, nil
}

// sorted are the map's values in the order of its keys.
func sorted(files map[string]string) []string {
	var names []string
	for _, key := range slices.Sorted(maps.Keys(files)) {
		names = append(names, files[key])
	}
	return names
}
