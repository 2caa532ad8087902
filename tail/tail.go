// Package tail keeps the end of what is printed, where the whole may be without bound.
package tail

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
)

// Writer keeps the end of what is written to it. It may be written to from several sides
// at once, and read meanwhile.
type Writer struct {
	limit int
	mu    sync.Mutex
	buf   []byte // twice the limit at most, so that not each write moves it
	cut   int64
}

// New makes a writer that keeps the last limit bytes.
func New(limit int) *Writer { return &Writer{limit: limit} }

// Write implements io.Writer and takes everything.
func (w *Writer) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := len(p)
	if over := len(p) - w.limit; over > 0 {
		w.cut += int64(len(w.buf) + over)
		w.buf, p = w.buf[:0], p[over:]
	}
	w.buf = append(w.buf, p...)
	if len(w.buf) > 2*w.limit {
		w.trim()
	}
	return n, nil
}

// trim leaves the end.
func (w *Writer) trim() {
	if over := len(w.buf) - w.limit; over > 0 {
		w.cut += int64(over)
		w.buf = append(w.buf[:0], w.buf[over:]...)
	}
}

// Bytes are what was kept, and how many bytes before it were cut.
func (w *Writer) Bytes() (end []byte, cut int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.trim()
	return append([]byte(nil), w.buf...), w.cut
}

// String is the end, valid UTF-8 without space around it, and says how much was cut.
func (w *Writer) String() string {
	end, cut := w.Bytes()
	text := strings.TrimSpace(strings.ToValidUTF8(string(end), "\uFFFD"))
	if cut > 0 {
		return fmt.Sprintf("(%d bytes cut) … %s", cut, text)
	}
	return text
}

// cutRoom is what the words about a cut take, in bytes.
const cutRoom = 32

// Text is the end of a text, with those words limit bytes at most.
func Text(s string, limit int) string {
	if len(s) <= limit {
		return strings.ToValidUTF8(s, "?")
	}
	w := New(limit - cutRoom)
	io.WriteString(w, s) // which never fails
	return w.String()
}

// Read is the end of what r has, which it reads to its end.
func Read(r io.Reader, limit int) (string, error) {
	w := New(limit)
	_, err := io.Copy(w, r)
	return w.String(), err
}

// File is the end of a file, or why it could not be read.
func File(path string, limit int64) string {
	f, err := os.Open(path)
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	w := New(int(limit))
	if info, err := f.Stat(); err == nil && info.Size() > limit {
		if w.cut, err = f.Seek(-limit, io.SeekEnd); err != nil {
			return err.Error()
		}
	}
	// It may be appended to without end meanwhile.
	if _, err := io.Copy(w, io.LimitReader(f, 2*limit)); err != nil {
		return err.Error()
	}
	return w.String()
}

// Line is a text of several lines as one.
func Line(text string) string {
	lines := strings.FieldsFunc(text, func(r rune) bool { return r == '\n' || r == '\r' })
	if len(lines) == 0 {
		return "it is empty"
	}
	return strings.Join(lines, " | ")
}
