package report

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/nestlab/nestlab/model"
)

// Limits of the terminal tables in characters: targets and cells are broken
// into lines beyond these.
const (
	targetWidth = 40
	cellWidth   = 28
	narrowWidth = 24 // of a cell where there are many places
	// sideBySide is how many places have room for outcome and reason in one line.
	sideBySide = 4
)

// Table writes the comparison, the set-up times and the facts as plain text.
func Table(w io.Writer, run model.Run) error {
	var b strings.Builder
	sep := " "
	if len(observed(run)) > sideBySide {
		sep = "\n"
	}
	writeGrid(&b, comparison(run, func(r model.Result) string { return outcomeText(r, sep) }))
	writeLines(&b, legend(observed(run)), "  ")
	writeLines(&b, notRun(run), "  ")
	fmt.Fprintf(&b, "\n%s\n", Summary(run))
	writeObserved(&b, run)
	fmt.Fprintf(&b, "Diagnosis: %s\n", verdictText(run.Diagnosis))
	if g, ok := scenarios(run, "\n"); ok {
		b.WriteString("\nScenarios, each differing from its baseline in one thing\n\n")
		writeGrid(&b, g)
	}
	if g, ok := setups(run); ok {
		b.WriteString("\nSet-up times in seconds\n\n")
		writeGrid(&b, g)
	}
	if g, ok := hopsGrid(run); ok {
		b.WriteString("\nPackets on the runner while each environment was probed\n\n")
		writeGrid(&b, g)
	}
	if g, ok := factsGrid(run, "\n"); ok {
		b.WriteString("\nFacts\n\n")
		writeGrid(&b, g)
	}
	if notes := notes(run); len(notes) > 0 {
		b.WriteString("\nNotes\n\n")
		writeLines(&b, notes, "- ")
	}
	return flush(w, &b, "table")
}

func writeObserved(b *strings.Builder, run model.Run) {
	if line := Observed(run); line != "" {
		b.WriteString(line + "\n")
	}
}

// notes are those of the host, then those of the environments.
func notes(run model.Run) []string {
	all := slices.Clone(run.Notes)
	for _, n := range run.GuestNotes {
		all = append(all, fmt.Sprintf("%s said: %s", n.Place, n.Note))
	}
	return all
}

func writeLines(b *strings.Builder, lines []string, prefix string) {
	for _, l := range lines {
		fmt.Fprintf(b, "%s%s\n", prefix, clean(l))
	}
}

func flush(w io.Writer, b *strings.Builder, what string) error {
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("write the %s: %w", what, err)
	}
	return nil
}

// writeGrid draws a grid with rules below the heads alone.
func writeGrid(b *strings.Builder, g grid) {
	if len(g.rows) == 0 {
		return
	}
	t := table.NewWriter()
	style := table.StyleLight
	style.Format.Header = text.FormatDefault
	style.Options = table.Options{SeparateHeader: true, SeparateColumns: true}
	t.SetStyle(style)
	t.SuppressTrailingSpaces()
	t.AppendHeader(tableRow(g.heads, func(i int, s string) string { return strings.Replace(s, " ", "\n", min(i, 1)) }))
	for _, r := range g.rows {
		t.AppendRow(tableRow(r, func(_ int, s string) string { return s }))
	}
	var columns []table.ColumnConfig
	for i, head := range g.heads {
		limit := cellWidth
		if len(g.heads) > sideBySide+2 {
			limit = narrowWidth
		}
		if head == "target" {
			limit = targetWidth
		}
		columns = append(columns, table.ColumnConfig{Number: i + 1, WidthMax: limit, WidthMaxEnforcer: wrapLines})
	}
	t.SetColumnConfigs(columns)
	b.WriteString(t.Render())
	b.WriteByte('\n')
}

// wrapLines breaks the lines of a cell at words, and only where it has to.
func wrapLines(cell string, limit int) string {
	lines := strings.Split(cell, "\n")
	for i, l := range lines {
		lines[i] = strings.TrimSpace(text.WrapSoft(l, limit))
	}
	return strings.Join(lines, "\n")
}

func tableRow(cells []string, as func(int, string) string) table.Row {
	out := make(table.Row, len(cells))
	for i, c := range cells {
		out[i] = as(i, c)
	}
	return out
}
