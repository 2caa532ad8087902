package report

import (
	"cmp"
	"io"
	"strings"

	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/nestlab/nestlab/model"
)

// Style is how a report is shown to a person, in a terminal or a log. The zero Style is
// for where nothing is known of it.
type Style struct {
	// Width is how many columns there are; 0 means 80.
	Width int
	// Color marks what failed.
	Color bool
	// Verbose shows what was ruled out as well, and tables as a whole.
	Verbose bool
}

func (s Style) width() int { return max(cmp.Or(s.Width, 80), 40) }

// paint colours a text where that is wanted.
func (s Style) paint(words string, colors ...text.Color) string {
	if !s.Color || words == "" {
		return words
	}
	return text.Escape(words, text.Colors(colors).EscapeSeq())
}

// wrap breaks a text into lines at words, those after the first indented.
func (s Style) wrap(prose, indent string) string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(prose) {
		switch {
		case line == "":
			line = word
		case text.StringWidth(line)+1+text.StringWidth(word) > s.width():
			lines, line = append(lines, line), indent+word
		default:
			line += " " + word
		}
	}
	return strings.Join(append(lines, line), "\n")
}

// Show writes the form for a person to read at once: no wider than the style, what
// matters first.
func (f Format) Show(w io.Writer, run model.Run, s Style) error {
	if f.show == nil {
		return f.Encode(w, run)
	}
	return f.show(w, run, s)
}
