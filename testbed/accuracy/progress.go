package accuracy

import (
	"bytes"
	"fmt"
	"io"
	"sync"
)

// lines keeps apart what runners that are at work side by side say.
type lines struct {
	mu sync.Mutex
	to io.Writer
}

// of is what one of them writes to; each of its lines begins with the name.
func (l *lines) of(name string) io.Writer { return &named{lines: l, name: name} }

type named struct {
	lines *lines
	name  string

	mu   sync.Mutex
	rest []byte
}

func (n *named) Write(p []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.rest = append(n.rest, p...)
	for {
		line, rest, whole := bytes.Cut(n.rest, []byte("\n"))
		if !whole {
			return len(p), nil
		}
		if err := n.lines.write(n.name, line); err != nil {
			return len(p), err
		}
		n.rest = bytes.Clone(rest)
	}
}

func (l *lines) write(name string, line []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, err := fmt.Fprintf(l.to, "%s %s\n", name, line)
	return err
}
