package main

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"
)

const (
	// shortest is the time that a step takes at least to be shown.
	shortest = time.Second
	// widest is the number of columns of a line.
	widest = 100
	// tailLines is how much of the progress is shown when the command fails.
	tailLines = 40
)

var (
	escape = regexp.MustCompile("\x1b\\[[0-9;]*m")
	// line is a line of Dagger's plain progress: the number of a step, its depth, a text.
	line = regexp.MustCompile(`^(\d+) +: ((?:┆ )*)(.*)$`)
	// ended is how the text of a step ends.
	ended = regexp.MustCompile(`^(.*) (DONE|CACHED|ERROR|CANCELED) \[([0-9hms.]+)\]`)
	// resultType is what a step gives, after its name.
	resultType = regexp.MustCompile(`: \w+!$`)
	// printed is a line of a step's output. What the module prints is for the reader as it is.
	printed = regexp.MustCompile(`^\[[0-9hms.]+\] \| (.*)$`)
	// said is a line of nestlab's own progress, in the output of a step.
	said = regexp.MustCompile(`^\[[0-9hms.]+\] \| \[ *[0-9.]+s\] (.*)$`)
)

// filter shows the steps of Dagger's plain progress. It is an io.Writer.
type filter struct {
	out   io.Writer
	now   func() time.Time
	begun time.Time
	rest  []byte
	// names holds the steps that have begun, by number: an end has a shorter name.
	names map[string]string
	tail  []string
}

func newFilter(out io.Writer, now func() time.Time) *filter {
	return &filter{out: out, now: now, begun: now(), names: map[string]string{}}
}

// Write implements io.Writer.
func (f *filter) Write(p []byte) (int, error) {
	f.rest = append(f.rest, p...)
	for {
		text, rest, whole := bytes.Cut(f.rest, []byte("\n"))
		if !whole {
			return len(p), nil
		}
		f.rest = bytes.Clone(rest)
		if err := f.read(escape.ReplaceAllString(string(text), "")); err != nil {
			return 0, err
		}
	}
}

// read takes one line in.
func (f *filter) read(text string) error {
	f.tail = append(f.tail, text)
	f.tail = f.tail[max(0, len(f.tail)-tailLines):]
	parts := line.FindStringSubmatch(text)
	if parts == nil {
		return nil
	}
	number, what := parts[1], parts[3]
	if m := said.FindStringSubmatch(what); m != nil {
		return f.show(m[1])
	}
	if m := printed.FindStringSubmatch(what); m != nil && strings.HasPrefix(f.names[number], "Nestlab.") {
		_, err := fmt.Fprintln(f.out, m[1])
		return err
	}
	m := ended.FindStringSubmatch(what)
	if m == nil {
		if f.names[number] == "" && !strings.HasPrefix(what, "[") {
			f.names[number] = what
		}
		return nil
	}
	took, err := time.ParseDuration(m[3])
	failed := m[2] == "ERROR"
	if err != nil || took < shortest && !failed {
		return nil
	}
	name := shorten(cmp.Or(f.names[number], m[1]))
	if failed {
		return f.show(name + ": failed after " + m[3])
	}
	return f.show(name + ": done in " + m[3])
}

// shorten leaves out of a step's name what a person does not need.
func shorten(name string) string {
	name = strings.TrimPrefix(resultType.ReplaceAllString(name, ""), "withExec ")
	return strings.TrimSuffix(name, "(") // its arguments are on lines of their own
}

// show writes one line, cut in its middle where it is too wide: its end tells the time.
func (f *filter) show(text string) error {
	since := int(f.now().Sub(f.begun).Seconds())
	runes := []rune(text)
	if over := len(runes) - widest; over > 0 {
		keep := widest / 2
		runes = []rune(string(runes[:keep]) + " … " + string(runes[len(runes)-keep:]))
	}
	if _, err := fmt.Fprintf(f.out, "[%d:%02d] %s\n", since/60, since%60, string(runes)); err != nil {
		return fmt.Errorf("show the progress: %w", err)
	}
	return nil
}

// writeTail shows the end of the progress as it was.
func (f *filter) writeTail() {
	fmt.Fprintln(f.out, strings.Join(f.tail, "\n"))
}
