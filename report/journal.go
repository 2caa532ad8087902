// Package report keeps, reads, joins and shows runs. It is pure: readers and
// writers are handed in, and nothing else is touched.
package report

import (
	"encoding/json"
	"fmt"
	"io"
	"sync"

	"github.com/nestlab/nestlab/model"
)

// MaxLine is the longest journal line in bytes, its newline not counted. What is
// longer is cut when it is written, and garbage when it is read.
const MaxLine = 1 << 20

// Journal appends entries as JSON lines, one write for each, so that a crash
// loses at most the line that was being written. It may be shared by goroutines.
type Journal struct {
	mu   sync.Mutex
	w    io.Writer
	torn bool
}

// NewJournal returns a journal that appends to w.
func NewJournal(w io.Writer) *Journal {
	j := &Journal{w: w}
	// A file that already holds something may end in the middle of a line: the
	// first entry must not be glued to it. What cannot seek has no past.
	if s, ok := w.(io.Seeker); ok {
		end, err := s.Seek(0, io.SeekEnd)
		j.torn = err == nil && end > 0
	}
	return j
}

// Append writes one entry, and where that had to be cut, a note behind it. After an error
// the journal may end in the middle of a line; the next entry then starts a new one.
func (j *Journal) Append(e model.Entry) error {
	e, note, err := Fit(e)
	if err != nil {
		return fmt.Errorf("append to the journal: %w", err)
	}
	if err := j.write(e); err != nil || note == "" {
		return err
	}
	return j.write(model.Entry{Note: note})
}

func (j *Journal) write(e model.Entry) error {
	line, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("encode a journal entry: %w", err)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.torn {
		line = append([]byte{'\n'}, line...)
	}
	if _, err := j.w.Write(append(line, '\n')); err != nil {
		j.torn = true
		return fmt.Errorf("append to the journal: %w", err)
	}
	j.torn = false
	return nil
}

// decodeEntry reads one line.
func decodeEntry(line []byte) (model.Entry, error) {
	var e model.Entry
	if err := json.Unmarshal(line, &e); err != nil {
		return e, err
	}
	return e, e.Check()
}
