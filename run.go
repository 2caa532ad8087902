package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/nestlab/nestlab/internal/dagger"
	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/pipelines"
	"github.com/nestlab/nestlab/report"
)

// Run is what one call planned, read, observed and concluded. The engine keys the
// functions of an object by the call that made the object, not by what is in it: each
// of these says that it is never cached, or it would hand out an earlier call's run.
// The fields are of the object itself, so they are always its own.
type Run struct {
	// +private
	Dir *dagger.Directory
	// Verdict is healthy, cause (one was found) or undetermined.
	Verdict string
	// Title is the cause in plain words; empty where none was found.
	Title string
	// Cause is its name in docs/diagnosis.md, such as docker-forward-drop.
	Cause string
	// Confidence is proven (by changing it, and changing it back) or supported (by evidence alone).
	Confidence string
	// Affected are the environments that the cause affects.
	Affected []string
	// Fix are the commands that remove the cause, in their order.
	Fix []string
	// Summary counts what was probed, in one line.
	Summary string
}

// newRun makes sure that the run was carried out before it is handed on. What it comes to is
// printed as well: the command line shows of an object that ends a call its digest alone.
func newRun(ctx context.Context, dir *dagger.Directory) (*Run, error) {
	dir, err := dir.Sync(ctx)
	if err != nil {
		return nil, carried(err)
	}
	run, err := pipelines.Read(ctx, dir)
	if err != nil {
		return nil, err
	}
	d := run.Diagnosis
	r := &Run{
		Dir: dir, Verdict: string(d.Verdict), Title: d.Title, Cause: d.Cause, Confidence: string(d.Confidence),
		Affected: d.Environments, Summary: report.Summary(run),
	}
	if d.Remedy != nil {
		r.Fix = d.Remedy.Commands
	}
	if err := report.Headline(os.Stdout, run); err != nil {
		return nil, err
	}
	return r, nil
}

// Table is the cause, the fix, and the comparison folded to 80 columns.
// The whole table is report.txt of export, and --format table of report.
//
// +cache="never"
func (r *Run) Table(ctx context.Context) (string, error) { return r.show(ctx, "table") }

// Json is the run in its versioned form, nestlab.run/v1.
//
// +cache="never"
func (r *Run) Json(ctx context.Context) (string, error) { return r.Report(ctx, "json") }

// Diagnosis names the cause of what fails, the fix, its proof and its evidence.
//
// +cache="never"
func (r *Run) Diagnosis(ctx context.Context) (string, error) { return r.show(ctx, "diagnosis") }

// Report is the run in one of the formats.
//
// +cache="never"
func (r *Run) Report(
	ctx context.Context,
	// table, summary, markdown, json, diagnosis, junit or tap.
	// +default="markdown"
	format string,
) (string, error) {
	f, err := report.FindFormat(format)
	if err != nil {
		return "", err
	}
	run, err := r.decode(ctx)
	if err != nil {
		return "", err
	}
	var text strings.Builder
	if err := f.Encode(&text, run); err != nil {
		return "", fmt.Errorf("write the run as %s: %w", format, err)
	}
	return text.String(), nil
}

// show is the run in a format for a person: short, and no wider than 80 columns.
func (r *Run) show(ctx context.Context, format string) (string, error) {
	f, err := report.FindFormat(format)
	if err != nil {
		return "", err
	}
	run, err := r.decode(ctx)
	if err != nil {
		return "", err
	}
	var text strings.Builder
	if err := f.Show(&text, run, report.Style{}); err != nil {
		return "", fmt.Errorf("show the run as %s: %w", format, err)
	}
	return text.String(), nil
}

// Check fails if anything failed that was not expected to, and says what.
//
// +cache="never"
func (r *Run) Check(ctx context.Context) (string, error) {
	run, err := r.decode(ctx)
	if err != nil {
		return "", err
	}
	ok, lines := report.Verdict(run)
	why, err := pipelines.Unfinished(ctx, r.Dir)
	if err != nil {
		return "", err
	}
	if why != "" {
		ok, lines = false, append(lines, "not finished: "+why)
	}
	text := strings.Join(lines, "\n")
	if !ok {
		return "", fmt.Errorf("check failed:\n%s", text)
	}
	return text + "\n", nil
}

// Export is a directory with the run in every format, and its journal.
//
// +cache="never"
func (r *Run) Export(ctx context.Context) (*dagger.Directory, error) {
	files := map[string]string{}
	for _, f := range report.Formats() {
		text, err := r.Report(ctx, f.Name)
		if err != nil {
			return nil, err
		}
		files[f.File] = text
	}
	reports, err := pipelines.Directory(dag, files)
	if err != nil {
		return nil, err
	}
	return r.Dir.WithDirectory("/", reports), nil
}

func (r *Run) decode(ctx context.Context) (model.Run, error) {
	return pipelines.Read(ctx, r.Dir)
}
