// Package qapi speaks to QEMU (QMP) and to the guest agent in a virtual machine:
// the same protocol, JSON objects one to a line, over a unix socket.
package qapi

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// maxAnswer bounds one answer in bytes: the agent keeps at most 16 MiB of each
// of a command's two streams, and sends them in base64.
const maxAnswer = 48 << 20

// Error is what the other side answers where it cannot do a command.
type Error struct {
	Command string `json:"-"`
	Class   string `json:"class"`
	Desc    string `json:"desc"`
}

func (e *Error) Error() string { return fmt.Sprintf("%s: %s", e.Command, e.Desc) }

// Conn is one connection. It carries out one command at a time.
type Conn struct {
	mu   sync.Mutex
	conn net.Conn
	r    *bufio.Reader
	id   uint64
	// broken is why the connection cannot be used any more: an answer was lost.
	broken error
}

// New uses a connection that is there.
func New(conn net.Conn) *Conn { return &Conn{conn: conn, r: bufio.NewReader(conn)} }

// dial connects and greets, and closes what it cannot greet.
func dial(ctx context.Context, socket string, greet func(context.Context, *Conn) error) (*Conn, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", socket)
	if err != nil {
		return nil, err
	}
	c := New(conn)
	if err := greet(ctx, c); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// DialMonitor connects to a QEMU's QMP socket.
func DialMonitor(ctx context.Context, socket string) (*Conn, error) {
	c, err := dial(ctx, socket, func(ctx context.Context, c *Conn) error {
		return c.Call(ctx, "qmp_capabilities", nil, nil)
	})
	if err != nil {
		return nil, fmt.Errorf("reach QEMU's monitor: %w", err)
	}
	return c, nil
}

// Close ends the connection.
func (c *Conn) Close() error { return c.conn.Close() }

type request struct {
	Execute   string `json:"execute"`
	Arguments any    `json:"arguments,omitempty"`
	ID        uint64 `json:"id,omitempty"`
}

type answer struct {
	Return json.RawMessage `json:"return"`
	Error  *Error          `json:"error"`
	ID     *uint64         `json:"id"`
	// Event and QMP mark what is no answer: an event, and QEMU's greeting.
	Event string          `json:"event"`
	QMP   json.RawMessage `json:"QMP"`
}

// Call carries a command out and decodes its answer into result, unless that is
// nil. An *Error leaves the connection usable; after every other one, the
// context's end included, it is not.
func (c *Conn) Call(ctx context.Context, command string, arguments, result any) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.broken != nil {
		return fmt.Errorf("%s: the connection is broken: %w", command, c.broken)
	}
	c.id++
	raw, err := c.exchange(ctx, request{Execute: command, Arguments: arguments, ID: c.id})
	var refused *Error
	if errors.As(err, &refused) {
		return err
	}
	if err == nil && result != nil {
		if err = json.Unmarshal(raw, result); err != nil {
			err = fmt.Errorf("the answer %.200q is none to it: %w", raw, err)
		}
	}
	if err != nil {
		c.broken = err
		return fmt.Errorf("%s: %w", command, err)
	}
	return nil
}

// exchange writes a request and reads up to its answer.
func (c *Conn) exchange(ctx context.Context, q request) (json.RawMessage, error) {
	defer c.bound(ctx)()
	text, err := json.Marshal(q)
	if err != nil {
		return nil, fmt.Errorf("encode the command: %w", err)
	}
	if _, err := c.conn.Write(append(text, '\n')); err != nil {
		return nil, cause(ctx, err)
	}
	for {
		line, err := c.line('\n')
		if err != nil {
			return nil, cause(ctx, err)
		}
		var a answer
		if err := json.Unmarshal(line, &a); err != nil {
			return nil, fmt.Errorf("%.200q is no answer: %w", line, err)
		}
		switch {
		case a.Event != "" || a.QMP != nil, a.ID != nil && *a.ID != q.ID:
			continue
		case a.Error != nil:
			a.Error.Command = q.Execute
			return nil, a.Error
		case a.Return == nil:
			return nil, fmt.Errorf("%.200q is neither an answer nor an error", line)
		}
		return a.Return, nil
	}
}

// bound makes reads and writes end with the context, until the returned function
// is called.
func (c *Conn) bound(ctx context.Context) (release func()) {
	stop := context.AfterFunc(ctx, func() {
		// An error means that the connection is closed, and nothing waits on it.
		if err := c.conn.SetDeadline(time.Unix(1, 0)); err != nil {
			return
		}
	})
	return func() { stop() }
}

// cause prefers why the context ended to the timeout that it made.
func cause(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// line reads up to and with a delimiter, at most maxAnswer bytes.
func (c *Conn) line(end byte) ([]byte, error) {
	var all []byte
	for {
		part, err := c.r.ReadSlice(end)
		all = append(all, part...)
		switch {
		case len(all) > maxAnswer:
			return nil, fmt.Errorf("the answer is longer than %d bytes", maxAnswer)
		case err == nil:
			return all, nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, err
		}
	}
}
