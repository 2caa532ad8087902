package catalogue

import (
	"fmt"
	"strings"
)

// Markdown is the catalogue as a table and, below it, the commands that do and
// undo each remedy by hand. docs/remedies.md holds it.
func Markdown() string {
	var b strings.Builder
	b.WriteString("| remedy | touches | what it does | opens | needs | costs |\n|---|---|---|---|---|---|\n")
	for _, r := range All() {
		name := "`" + r.Name + "`"
		if r.ByHand {
			name += " (by hand)"
		}
		cells := []string{name, r.Breadth.String(), r.About, r.Opens, r.Precondition, r.Cost}
		for i, c := range cells {
			cells[i] = strings.ReplaceAll(c, "|", `\|`)
		}
		fmt.Fprintf(&b, "| %s |\n", strings.Join(cells, " | "))
	}
	for _, r := range All() {
		fmt.Fprintf(&b, "\n### %s\n\n", r.Name)
		for _, p := range r.Parameters {
			fmt.Fprintf(&b, "- `%s`: %s%s, such as `%s`\n", p.Name, p.About, optional(p), strings.Trim(p.Example, "'"))
		}
		if len(r.Parameters) > 0 {
			b.WriteString("\n")
		}
		fmt.Fprintf(&b, "```sh\n%s\n# back:\n%s\n```\n", strings.Join(r.Commands(nil), "\n"), strings.Join(r.Undo(nil), "\n"))
		if r.Then != "" {
			fmt.Fprintf(&b, "\nThen %s.\n", r.Then)
		}
	}
	return b.String()
}

func optional(p Parameter) string {
	switch {
	case p.Required:
		return ""
	case p.Default != "":
		return " (default `" + p.Default + "`)"
	}
	return " (may be left out)"
}
