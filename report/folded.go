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

// Limits of the folded table in columns.
const (
	foldedCell  = 18 // of a group of environments
	foldedProbe = 26 // of the probes, at least
	// spelled is how many probes of one row are named with their targets.
	spelled = 3
)

// folded is a comparison in which what is the same is told once.
type folded struct {
	// everywhere are sentences about the probes that are the same in all environments.
	everywhere []string
	// groups are heads of the environments whose columns are the same.
	groups [][]string
	rows   []foldedRow
}

// foldedRow are probes that came out the same in all groups.
type foldedRow struct {
	probes [][2]string // probe and target
	cells  []string
}

// fold folds a comparison.
func fold(g grid) folded {
	var f folded
	var differ [][]string
	same := map[sameOutcome][][2]string{}
	var order []sameOutcome
	for _, r := range g.rows {
		outcome, whole := uniform(r[2:])
		switch {
		case outcome == "":
			differ = append(differ, r)
			continue
		case outcome == none:
			continue // skipped in all of them
		}
		key := sameOutcome{outcome, whole}
		if same[key] == nil {
			order = append(order, key)
		}
		same[key] = append(same[key], [2]string{r[0], r[1]})
	}
	for _, key := range order {
		f.everywhere = append(f.everywhere, sameText(key, same[key]))
	}
	var columns []int
	for i := range g.heads[2:] {
		if len(differ) > 0 && !slices.ContainsFunc(differ, func(r []string) bool { return r[i+2] != none }) {
			continue // it did not start: that is told by itself
		}
		at := slices.IndexFunc(columns, func(j int) bool { return sameColumn(differ, i, j) })
		if at < 0 {
			columns, f.groups = append(columns, i), append(f.groups, []string{g.heads[i+2]})
			continue
		}
		f.groups[at] = append(f.groups[at], g.heads[i+2])
	}
	for _, r := range differ {
		var cells []string
		for _, c := range columns {
			cells = append(cells, r[c+2])
		}
		probe := [2]string{r[0], r[1]}
		at := slices.IndexFunc(f.rows, func(o foldedRow) bool { return slices.Equal(o.cells, cells) })
		if at < 0 {
			f.rows = append(f.rows, foldedRow{[][2]string{probe}, cells})
			continue
		}
		f.rows[at].probes = append(f.rows[at].probes, probe)
	}
	return f
}

// sameOutcome is what probes came out as in all environments, or in all that they ran in.
type sameOutcome struct {
	cell  string
	whole bool
}

// sameText tells of probes that came out the same: that they pass, or which they are.
func sameText(o sameOutcome, probes [][2]string) string {
	where, be, pass := "wherever they ran", "are", "pass"
	if len(probes) == 1 {
		where, be, pass = "wherever it ran", "is", "passes"
	}
	if o.whole {
		where = "everywhere"
	}
	line := plural(len(probes), "probe") + " "
	if o.cell == string(model.Pass) {
		return line + pass + " " + where
	}
	return line + fmt.Sprintf("%s %s %s: %s", be, strings.ReplaceAll(o.cell, "\n", " "), where, strings.ReplaceAll(namesOf(probes), "\n", ", "))
}

// foldedText is the cell of a result where only what matters is to differ: what was
// skipped was not run, and at which try something passed is in the whole table.
func foldedText(r model.Result) string {
	if r.Outcome == model.Skip {
		return none
	}
	r.Attempt = 1
	return outcomeText(r, "\n")
}

// uniform returns the outcome that all cells of a row have, less those in which nothing
// was probed; empty where they differ. Whole says that all were probed.
func uniform(cells []string) (outcome string, whole bool) {
	whole = true
	for _, c := range cells {
		switch {
		case c == none:
			whole = false
		case outcome == "":
			outcome = c
		case outcome != c:
			return "", false
		}
	}
	if outcome == "" {
		return none, false
	}
	return outcome, whole
}

func sameColumn(rows [][]string, i, j int) bool {
	return !slices.ContainsFunc(rows, func(r []string) bool { return r[i+2] != r[j+2] })
}

// namesOf lists probes, a line for each, counted where they are many.
func namesOf(probes [][2]string) string {
	var lines []string
	if len(probes) <= spelled {
		for _, p := range probes {
			lines = append(lines, p[0]+" "+p[1])
		}
		return strings.Join(lines, "\n")
	}
	count := map[string]int{}
	var order []string
	for _, p := range probes {
		if count[p[0]] == 0 {
			order = append(order, p[0])
		}
		count[p[0]]++
	}
	for _, probe := range order {
		line := probe
		if count[probe] > 1 {
			line += fmt.Sprintf(" (%s)", plural(count[probe], "target"))
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

// showTable writes the comparison folded, or the whole table for who wants all.
func showTable(w io.Writer, run model.Run, s Style) error {
	if s.Verbose {
		return Table(w, run)
	}
	return showSummary(w, run, s)
}

// SummaryText writes what a run comes to in 80 columns.
func SummaryText(w io.Writer, run model.Run) error { return showSummary(w, run, Style{}) }

// showSummary writes what a run comes to, and its comparison folded to the style's width.
func showSummary(w io.Writer, run model.Run, s Style) error {
	var b strings.Builder
	writeHeadline(&b, run.Diagnosis, s)
	g := comparison(run, foldedText)
	f := fold(g)
	if len(f.rows) > 0 {
		b.WriteByte('\n')
		f.write(&b, s)
	}
	b.WriteByte('\n')
	if places := g.heads[2:]; len(f.rows) == 0 && len(places) > 0 {
		fmt.Fprintf(&b, "%s\n", s.wrap("Probed: "+strings.Join(places, ", "), "  "))
	}
	for _, line := range f.everywhere {
		b.WriteString(s.wrap(line, "  ") + "\n")
	}
	if g, ok := scenarios(run, "\n"); ok {
		fmt.Fprintf(&b, "%s, each differing from its baseline in one thing: see --verbose\n", plural(len(g.rows), "scenario"))
	}
	for _, line := range notRun(run) {
		b.WriteString(s.wrap(clean(line), "  ") + "\n")
	}
	for _, n := range notes(run) {
		b.WriteString(s.wrap("note: "+clean(n), "  ") + "\n")
	}
	fmt.Fprintf(&b, "%s\n%s\n", s.wrap(Summary(run), "  "), s.wrap(Observed(run), "  "))
	return flush(w, &b, "table")
}

// write draws the rows that differ, in as many tables side by side as have room.
func (f folded) write(b *strings.Builder, s Style) {
	room := max(1, (s.width()-foldedProbe-2)/(foldedCell+3))
	for first := 0; first < len(f.groups); first += room {
		if first > 0 {
			b.WriteByte('\n')
		}
		f.writeGroups(b, s, first, min(first+room, len(f.groups)))
	}
}

func (f folded) writeGroups(b *strings.Builder, s Style, first, last int) {
	t := table.NewWriter()
	style := table.StyleLight
	style.Format.Header = text.FormatDefault
	style.Options = table.Options{SeparateHeader: true, SeparateColumns: true}
	t.SetStyle(style)
	t.SuppressTrailingSpaces()
	head := table.Row{"probe"}
	limit := s.width() - 2
	columns := []table.ColumnConfig{{Number: 1, WidthMaxEnforcer: wrapHard}}
	for i := first; i < last; i++ {
		cell := wrapHard(strings.Join(f.groups[i], ",\n"), foldedCell)
		head = append(head, cell)
		width := text.LongestLineLen(cell)
		for _, r := range f.rows {
			width = max(width, text.LongestLineLen(wrapHard(r.cells[i], foldedCell)))
		}
		limit -= width + 3
		columns = append(columns, table.ColumnConfig{Number: i - first + 2, WidthMax: foldedCell, WidthMaxEnforcer: wrapHard})
	}
	columns[0].WidthMax = limit
	t.AppendHeader(head)
	for _, r := range f.rows {
		row := table.Row{namesOf(r.probes)}
		for _, c := range r.cells[first:last] {
			row = append(row, s.outcome(wrapHard(c, foldedCell)))
		}
		t.AppendRow(row)
	}
	t.SetColumnConfigs(columns)
	b.WriteString(t.Render())
	b.WriteByte('\n')
}

// outcome colours a cell: what speaks against a place is in capitals.
func (s Style) outcome(cell string) string {
	first, rest, more := strings.Cut(cell, "\n")
	switch {
	case first != "" && first == strings.ToUpper(first) && first != none:
		first = s.paint(first, text.FgRed)
	case first == string(model.Pass):
		first = s.paint(first, text.FgGreen)
	}
	if more {
		return first + "\n" + rest
	}
	return first
}

// wrapHard breaks lines at words, and words that are too long.
func wrapHard(cell string, limit int) string {
	lines := strings.Split(cell, "\n")
	for i, l := range lines {
		lines[i] = strings.TrimRight(text.WrapText(strings.TrimRight(text.WrapSoft(l, limit), " "), limit), " ")
	}
	return strings.Join(lines, "\n")
}
