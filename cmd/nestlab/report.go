package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/nestlab/nestlab/diagnose"
	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/report"
)

func newReportCommand() *cobra.Command {
	var format, output string
	var check, stored, verbose bool
	cmd := &cobra.Command{
		Use:   "report [flags] PATH...",
		Short: "Show one run, or several joined into one",
		Long: `Show a run. PATH is a run.json, a journal.jsonl or a directory that holds one of
them; "-" reads from standard input. Several are joined, and diagnosed as a whole.
A journal that ends in the middle of a line is shown as far as it goes.

The diagnosis is made again from what was observed: a file of somebody else recommends no
commands. With --stored it is the file's own, for a run of this machine, whose commands
name the rules that were there.

Formats:
` + formatHelp(),
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usageError(errors.New("name at least one run.json, journal.jsonl or directory"))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return showReport(cmd, args, format, output, check, stored, verbose)
		},
	}
	cmd.Flags().StringVarP(&format, "format", "f", "table", "one of "+strings.Join(report.FormatNames(), ", "))
	cmd.Flags().StringVarP(&output, "output", "o", "", "write to this file, not to standard output")
	cmd.Flags().BoolVar(&check, "check", false, "exit with 1 when the check fails: see docs/run.md")
	cmd.Flags().BoolVar(&stored, "stored", false, "show the diagnosis that the file has, with its commands: for runs of your own")
	cmd.Flags().BoolVarP(&verbose, "verbose", "v", false, "show whole tables and what was ruled out")
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return withCode(exitUsage, err) })
	return cmd
}

func formatHelp() string {
	var b strings.Builder
	for _, f := range report.Formats() {
		fmt.Fprintf(&b, "  %-10s %s\n", f.Name, f.About)
	}
	return b.String()
}

func showReport(cmd *cobra.Command, paths []string, format, output string, check, stored, verbose bool) error {
	f, err := report.FindFormat(format)
	if err != nil {
		return withCode(exitUsage, fmt.Errorf("report: %w", err))
	}
	run, err := loadRuns(cmd.InOrStdin(), paths, stored)
	if err != nil {
		return withCode(exitUnobserved, err)
	}
	var text bytes.Buffer
	show := func(w io.Writer, run model.Run) error { return f.Show(w, run, styleOf(cmd.OutOrStdout(), verbose)) }
	if output != "" {
		show = f.Encode // a file has the whole
	}
	if err := show(&text, run); err != nil {
		return err
	}
	if output == "" {
		_, err = cmd.OutOrStdout().Write(text.Bytes())
	} else {
		err = os.WriteFile(output, text.Bytes(), 0o644)
	}
	if err != nil {
		return withCode(exitUnobserved, fmt.Errorf("write the report: %w", err))
	}
	if ok, lines := report.Verdict(run); check && !ok {
		return withCode(exitBad, fmt.Errorf("check failed:\n  %s", strings.Join(lines, "\n  ")))
	}
	return nil
}

// styleOf is the style of where a report is written to: a terminal has a width, and colours
// unless NO_COLOR is set.
func styleOf(w io.Writer, verbose bool) report.Style {
	s := report.Style{Verbose: verbose, Width: widthOf(w)}
	file, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return s
	}
	s.Color = os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
	return s
}

// loadRuns reads and joins runs, and diagnoses them unless the diagnosis that a single one
// made itself is to stay.
func loadRuns(stdin io.Reader, paths []string, stored bool) (model.Run, error) {
	var runs []model.Run
	for _, path := range paths {
		run, err := loadRun(stdin, path)
		if err != nil {
			return model.Run{}, fmt.Errorf("report %s: %w", path, err)
		}
		runs = append(runs, run)
	}
	run := runs[0]
	if len(runs) > 1 {
		merged, err := report.Merge(runs...)
		if err != nil {
			return model.Run{}, err
		}
		run = merged
	}
	if !stored || run.Diagnosis.Verdict == "" {
		run.Diagnosis = diagnose.Diagnose(run)
	}
	return run, nil
}

// loadRun reads a run.json or a journal, whichever the content shows it to be.
func loadRun(stdin io.Reader, path string) (run model.Run, err error) {
	if path == "-" {
		return report.Read(stdin)
	}
	path, err = fileOf(path)
	if err != nil {
		return run, err
	}
	file, err := os.Open(path)
	if err != nil {
		return run, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	return report.Read(file)
}

// fileOf is the file that a path means: itself, or a directory's run.json, or
// else its journal.
func fileOf(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	if !info.IsDir() {
		return path, nil
	}
	for _, name := range []string{model.RunFile, model.JournalFile} {
		file := filepath.Join(path, name)
		switch _, err := os.Stat(file); {
		case err == nil:
			return file, nil
		case !errors.Is(err, fs.ErrNotExist):
			return "", err
		}
	}
	return "", fmt.Errorf("the directory holds neither %s nor %s", model.RunFile, model.JournalFile)
}
