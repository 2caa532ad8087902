package report

import (
	"bytes"
	"io"
	"regexp"
	"strings"
	"unicode"
)

// command begins what a CI service takes for an order to itself where a log has it:
// ::name::text at the start of a line (GitHub), ##[name] and ##vso[name] anywhere (GitHub,
// Azure).
var command = regexp.MustCompile(`^\s*::[A-Za-z].*::|##(vso)?\[`)

// clean makes a text from outside fit for one line of a terminal or a document:
// no line breaks, no escape sequences, no invisible or reordering characters, and no
// orders to a CI service.
func clean(s string) string { return strings.TrimSpace(printable(s)) }

func printable(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t' || r == '\r':
			return ' '
		case unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp):
			return unicode.ReplacementChar
		default:
			return r
		}
	}, strings.ToValidUTF8(s, string(unicode.ReplacementChar)))
	return command.ReplaceAllStringFunc(s, func(found string) string {
		return strings.NewReplacer("::", ": :", "##", "# #").Replace(found)
	})
}

// cleanLines is clean for a text of several lines.
func cleanLines(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	for i, l := range lines {
		lines[i] = clean(l)
	}
	return strings.Join(lines, "\n")
}

// Line makes a text that may be of outside one line for a terminal or a CI log.
func Line(s string) string {
	lines := strings.FieldsFunc(s, func(r rune) bool { return r == '\n' || r == '\r' })
	return clean(strings.Join(lines, " | "))
}

// Lines is Line for a text whose lines are to stay.
func Lines(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	for i, l := range lines {
		lines[i] = strings.TrimRight(printable(l), " ")
	}
	return strings.Join(lines, "\n")
}

// LineWriter hands lines on as Line has them, a long one in pieces.
type LineWriter struct {
	To   io.Writer
	rest []byte
}

// maxPiece is the most that is kept of a line that has not ended, in bytes.
const maxPiece = 8 << 10

// Write implements io.Writer. A line is handed on when it has ended.
func (w *LineWriter) Write(p []byte) (int, error) {
	w.rest = append(w.rest, p...)
	for {
		end := bytes.IndexByte(w.rest, '\n')
		next := end + 1
		if end < 0 || end > maxPiece {
			if end, next = maxPiece, maxPiece; len(w.rest) < maxPiece {
				return len(p), nil
			}
		}
		if _, err := io.WriteString(w.To, Line(string(w.rest[:end]))+"\n"); err != nil {
			return 0, err
		}
		w.rest = w.rest[next:]
	}
}
