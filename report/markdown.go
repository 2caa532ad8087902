package report

import (
	"cmp"
	"fmt"
	"io"
	"regexp"
	"strings"

	"github.com/nestlab/nestlab/model"
)

// Markdown writes the report of a run as GitHub's dialect shows it, for a job
// summary. Whatever comes from outside is escaped.
func Markdown(w io.Writer, run model.Run) error {
	var b strings.Builder
	mark := "❌"
	if ok, _ := Verdict(run); ok {
		mark = "✅"
	}
	fmt.Fprintf(&b, "# %s nestlab: %s\n\n%s\n", mark, md(verdictText(run.Diagnosis)), md(Summary(run)))
	if line := Observed(run); line != "" {
		fmt.Fprintf(&b, "\n%s\n", md(line))
	}
	mdDiagnosis(&b, run.Diagnosis)
	b.WriteString("\n## Comparison\n\n")
	mdGrid(&b, comparison(run, mdOutcome))
	mdList(&b, append(legend(observed(run)), notRun(run)...))
	if g, ok := scenarios(run, " "); ok {
		b.WriteString("\n## Scenarios\n\n")
		mdGrid(&b, g)
	}
	if g, ok := setups(run); ok {
		b.WriteString("\n## Set-up times in seconds\n\n")
		mdGrid(&b, g)
	}
	if g, ok := hopsGrid(run); ok {
		b.WriteString("\n## Packets on the runner while each environment was probed\n\n")
		mdGrid(&b, g)
	}
	if g, ok := factsGrid(run, "\n"); ok {
		b.WriteString("\n<details><summary>Facts</summary>\n\n")
		mdGrid(&b, g)
		b.WriteString("\n</details>\n")
	}
	if notes := notes(run); len(notes) > 0 {
		b.WriteString("\n## Notes\n")
		mdList(&b, notes)
	}
	return flush(w, &b, "markdown")
}

// mdEscapes are the characters that mean something in Markdown or HTML.
var mdEscapes = strings.NewReplacer(
	`&`, `&amp;`, `<`, `&lt;`, `>`, `&gt;`,
	`\`, `\\`, "`", "\\`", `*`, `\*`, `_`, `\_`, `[`, `\[`, `]`, `\]`, `|`, `\|`,
	`#`, `\#`, `~`, `\~`, `!`, `\!`, `@`, "@\u200b", `$`, `\$`,
)

// inline escapes a text for the middle of a line: HTML, marks, mentions.
func inline(s string) string { return mdEscapes.Replace(clean(s)) }

// mdBlock is what makes a list or a heading at the start of a line.
var mdBlock = regexp.MustCompile(`^(\d*)([-+=]|[.)](?:\s|$))`)

// md escapes a text that a line may start with.
func md(s string) string { return mdBlock.ReplaceAllString(inline(s), `$1\$2`) }

// mdCell keeps the lines of a cell.
func mdCell(s string) string {
	lines := strings.Split(s, "\n")
	for i, l := range lines {
		lines[i] = inline(l)
	}
	return strings.Join(lines, "<br>")
}

// mdOutcome marks what speaks against a place; the grid escapes it.
func mdOutcome(r model.Result) string {
	text := outcomeText(r, " ")
	switch r.Outcome {
	case model.Pass:
		return "✅ " + text
	case model.XFail, model.XPass, model.Skip:
		return "⚪ " + text
	default:
		return "❌ " + text
	}
}

func mdGrid(b *strings.Builder, g grid) {
	if len(g.rows) == 0 {
		b.WriteString("Nothing was observed.\n")
		return
	}
	mdRow(b, g.heads)
	b.WriteString("|" + strings.Repeat(" --- |", len(g.heads)) + "\n")
	for _, r := range g.rows {
		mdRow(b, r)
	}
}

func mdRow(b *strings.Builder, cells []string) {
	b.WriteByte('|')
	for _, c := range cells {
		fmt.Fprintf(b, " %s |", mdCell(c))
	}
	b.WriteByte('\n')
}

func mdList(b *strings.Builder, lines []string) {
	if len(lines) == 0 {
		return
	}
	b.WriteByte('\n')
	for _, l := range lines {
		fmt.Fprintf(b, "- %s\n", md(l))
	}
}

func mdDiagnosis(b *strings.Builder, d model.Diagnosis) {
	b.WriteString("\n## Diagnosis\n\n")
	fmt.Fprintf(b, "%s\n", cmp.Or(md(d.Summary), "This run was not diagnosed."))
	for _, f := range append([]model.Finding{d.Finding}, d.Further...) {
		mdFinding(b, f)
	}
	if len(d.RuledOut) == 0 {
		return
	}
	b.WriteString("\n**Ruled out**\n\n")
	for _, r := range d.RuledOut {
		fmt.Fprintf(b, "- %s: %s\n", md(r.Cause), md(r.Why))
	}
}

func mdFinding(b *strings.Builder, f model.Finding) {
	switch {
	case f.Title != "":
		fmt.Fprintf(b, "\n### %s (%s, %s)\n", md(f.Title), md(f.Cause), proofWord(f.Confidence))
	case f.Cause != "":
		fmt.Fprintf(b, "\n### %s\n", md(finding(f)))
	}
	if len(f.Environments) > 0 {
		fmt.Fprintf(b, "\nAffected: %s\n", md(strings.Join(f.Environments, ", ")))
	}
	if f.Remedy != nil {
		fmt.Fprintf(b, "\n**Fix: %s**\n\n", md(f.Remedy.Name))
		mdCode(b, f.Remedy.Commands)
		if f.Remedy.Why != "" {
			fmt.Fprintf(b, "\n%s\n", md(f.Remedy.Why))
		}
	}
	mdProof(b, f.Proof)
	if len(f.Evidence) > 0 {
		b.WriteString("\n**Evidence**\n\n")
		for _, e := range f.Evidence {
			fmt.Fprintf(b, "- %s\n", md(e.Text))
		}
	}
}

func mdProof(b *strings.Builder, p *model.Proof) {
	if p == nil {
		return
	}
	fmt.Fprintf(b, "\n**Proof**: %s\n\n", md(p.Text))
	g := grid{heads: []string{"round", "outcome", "passed", "failed"}}
	for _, r := range p.Rounds {
		g.rows = append(g.rows, []string{r.Name, string(r.Outcome), fmt.Sprint(r.Passed), fmt.Sprint(r.Failed)})
	}
	if len(g.rows) > 0 {
		mdGrid(b, g)
	}
}

// mdCode writes commands in a fence that none of them can end.
func mdCode(b *strings.Builder, commands []string) {
	fence := "```"
	for strings.Contains(strings.Join(commands, "\n"), fence) {
		fence += "`"
	}
	fmt.Fprintf(b, "%ssh\n", fence)
	for _, c := range commands {
		fmt.Fprintln(b, clean(c))
	}
	fmt.Fprintln(b, fence)
}
