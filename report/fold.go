package report

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/nestlab/nestlab/model"
)

// maxFoldNotes bounds what a file of garbage can add to a run's notes.
const maxFoldNotes = 20

// Fold makes a run of a journal. Lines that cannot be read, the half-written
// last one of a crash among them, are named in the run's notes and cost nothing
// else. The error is that of the reader; the run then holds what came before it.
func Fold(r io.Reader) (model.Run, error) {
	f := &folder{known: map[factsKey]bool{}}
	in := bufio.NewReader(r)
	for number := 1; ; number++ {
		line, length, whole, err := readLine(in)
		f.line(number, line, length, whole)
		if errors.Is(err, io.EOF) {
			return f.finish(), nil
		}
		if err != nil {
			return f.finish(), fmt.Errorf("read the journal at line %d: %w", number, err)
		}
	}
}

// readLine reads up to the next newline, and keeps at most MaxLine bytes of it.
// Whole says whether the newline was there.
func readLine(in *bufio.Reader) (line []byte, length int, whole bool, err error) {
	for {
		part, err := in.ReadSlice('\n')
		length += len(part)
		if room := MaxLine + 1 - len(line); room > 0 {
			line = append(line, part[:min(room, len(part))]...)
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		return bytes.TrimSuffix(line, []byte{'\n'}), length, err == nil, err
	}
}

// folder gathers entries into a run.
type folder struct {
	run   model.Run
	begun bool
	known map[factsKey]bool
	found []string // what is wrong with the journal itself
	more  int      // the same, beyond maxFoldNotes
}

// factsKey names facts: there is one of a place in a round.
type factsKey struct {
	model.Place
	round string
}

func (f *folder) note(format string, args ...any) {
	if len(f.found) >= maxFoldNotes {
		f.more++
		return
	}
	f.found = append(f.found, fmt.Sprintf(format, args...))
}

func (f *folder) line(number int, line []byte, length int, whole bool) {
	if len(bytes.TrimSpace(line)) == 0 {
		return
	}
	if len(line) > MaxLine {
		f.note("journal line %d has %d bytes, more than the limit of %d: left out", number, length, MaxLine)
		return
	}
	e, err := decodeEntry(line)
	switch {
	case err != nil && !whole:
		f.note("the journal ends in the middle of line %d, as after a crash: that entry is lost", number)
	case err != nil:
		f.note("journal line %d is not an entry and was left out: %s", number, short(err.Error()))
	default:
		f.entry(number, e)
	}
}

// entry adds an entry to the run. What is odd about it is a note.
func (f *folder) entry(number int, e model.Entry) {
	switch {
	case e.Begin != nil && f.begun:
		f.note("journal line %d begins a second run in the same file; its entries are counted to the first", number)
		return
	case e.Begin != nil:
		f.begun = true
		if e.Begin.Schema != model.Schema {
			f.note("the journal has schema %s, this is nestlab for %s: entries may have been misread", short(e.Begin.Schema), model.Schema)
		}
	case e.Facts != nil:
		key := factsKey{e.Facts.Place, e.Facts.Round}
		if f.known[key] { // the first ones were read before the place was probed
			f.note("journal line %d has facts of %s a second time: the first ones are kept", number, short(e.Facts.Place.String()))
			return
		}
		f.known[key] = true
	case e.Result != nil:
		f.result(number, *e.Result)
	}
	if err := f.run.Add(e); err != nil {
		f.note("journal line %d: %s", number, short(err.Error()))
	}
}

// result says where a newer nestlab may have written what is not known here.
func (f *folder) result(number int, r model.Result) {
	if !r.Outcome.Valid() {
		f.note("journal line %d has an outcome that this version does not know: %s", number, short(string(r.Outcome)))
	}
	if !r.Reason.Valid() {
		f.note("journal line %d has a reason that this version does not know: %s", number, short(string(r.Reason)))
	}
}

func (f *folder) finish() model.Run {
	f.run.Schema = model.Schema
	if !f.begun {
		f.note("the journal has no readable begin line: its plan and version are not known")
	}
	f.run.Notes = append(f.run.Notes, f.found...)
	if f.more > 0 {
		f.run.Notes = append(f.run.Notes, fmt.Sprintf("%d more lines of the journal could not be read", f.more))
	}
	tidy(&f.run)
	return f.run
}

// tidy puts a run into the form in which it is written: places and results in
// table order, and no null where the schema wants a list.
func tidy(run *model.Run) {
	fillNil(run)
	slices.SortStableFunc(run.Facts, func(a, b model.Facts) int { return model.ComparePlaces(a.Place, b.Place) })
	slices.SortStableFunc(run.Results, model.CompareResults)
}

// short quotes a text that comes from outside, at most 80 characters of it.
func short(s string) string {
	const limit = 80
	if runes := []rune(s); len(runes) > limit {
		s = string(runes[:limit]) + "…"
	}
	return fmt.Sprintf("%q", strings.ToValidUTF8(s, "\uFFFD"))
}
