package report

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/nestlab/nestlab/model"
)

// Encoder writes a run in one form. Its errors are those of the writer.
type Encoder func(w io.Writer, run model.Run) error

// Format is a named encoder and the file that it is kept in.
type Format struct {
	// Name is the value of --format.
	Name string
	// File is the name in an exported directory.
	File   string
	Encode Encoder
	// About is one line for a help text.
	About string
	// show writes the form for a person, where that is another one: see Show.
	show func(w io.Writer, run model.Run, s Style) error
}

// Formats lists all forms of a run in the order in which help shows them.
func Formats() []Format {
	return []Format{
		{"table", model.TableFile, Table, "the comparison for a terminal", showTable},
		{"summary", model.SummaryFile, SummaryText, "the cause, the fix and what differs, in 80 columns", showSummary},
		{"markdown", model.MarkdownFile, Markdown, "the comparison for a job summary", nil},
		{"json", model.RunFile, Encode, "the whole run, as docs/run.md describes it", nil},
		{"diagnosis", model.DiagnosisFile, DiagnosisText, "the cause, the fix, the proof and the evidence", showDiagnosis},
		{"junit", model.JUnitFile, JUnit, "JUnit XML, a suite for each environment", nil},
		{"tap", model.TAPFile, TAP, "Test Anything Protocol 14", nil},
	}
}

// FormatNames lists the names of Formats.
func FormatNames() []string {
	var names []string
	for _, f := range Formats() {
		names = append(names, f.Name)
	}
	return names
}

// FindFormat returns the format of a name.
func FindFormat(name string) (Format, error) {
	formats := Formats()
	i := slices.IndexFunc(formats, func(f Format) bool { return f.Name == name })
	if i < 0 {
		return Format{}, fmt.Errorf("there is no format %q: choose one of %s", name, strings.Join(FormatNames(), ", "))
	}
	return formats[i], nil
}
