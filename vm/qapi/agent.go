package qapi

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// sentinel ends whatever half a request the agent has, and begins its answer to
// guest-sync-delimited. JSON in UTF-8 never holds it.
const sentinel = 0xff

// DialAgent connects to the agent behind a guest's virtio-serial port. What an
// earlier connection left unread there is passed over.
func DialAgent(ctx context.Context, socket string) (*Conn, error) {
	c, err := dial(ctx, socket, func(ctx context.Context, c *Conn) error { return c.Sync(ctx) })
	if err != nil {
		return nil, fmt.Errorf("reach the guest agent: %w", err)
	}
	return c, nil
}

// Sync finds the beginning of the agent's next answer. A guest that is not up
// yet does not answer: the context bounds the wait.
func (c *Conn) Sync(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	defer c.bound(ctx)()
	id := rand.Int32()
	ask := fmt.Appendf([]byte{sentinel}, `{"execute":"guest-sync-delimited","arguments":{"id":%d}}`+"\n", id)
	if _, err := c.conn.Write(ask); err != nil {
		return fmt.Errorf("guest-sync-delimited: %w", cause(ctx, err))
	}
	want := fmt.Sprintf(`{"return":%d}`, id)
	for {
		if _, err := c.line(sentinel); err != nil {
			return fmt.Errorf("guest-sync-delimited: %w", cause(ctx, err))
		}
		line, err := c.line('\n')
		if err != nil {
			return fmt.Errorf("guest-sync-delimited: %w", cause(ctx, err))
		}
		if compact(line) == want {
			return nil
		}
	}
}

// compact is a line without the white space that JSON does not care about.
func compact(line []byte) string {
	var out []byte
	for _, b := range line {
		switch b {
		case ' ', '\t', '\r', '\n':
		default:
			out = append(out, b)
		}
	}
	return string(out)
}

// Ping asks the agent for a sign of life.
func (c *Conn) Ping(ctx context.Context) error { return c.Call(ctx, "guest-ping", nil, nil) }

// Process is a command to run in the guest.
type Process struct {
	Path string   `json:"path"`
	Args []string `json:"arg,omitempty"`
	// Env are NAME=VALUE; the agent's own environment is not added.
	Env   []string `json:"env,omitempty"`
	Stdin []byte   `json:"input-data,omitempty"`
}

// Ended is how a process in the guest ended, and what it printed.
type Ended struct {
	// Code is its exit code, 128 + N after signal N.
	Code           int
	Stdout, Stderr []byte
}

// status is the answer to guest-exec-status.
type status struct {
	Exited       bool   `json:"exited"`
	Exitcode     *int   `json:"exitcode"`
	Signal       *int   `json:"signal"`
	Stdout       []byte `json:"out-data"`
	Stderr       []byte `json:"err-data"`
	OutTruncated bool   `json:"out-truncated"`
	ErrTruncated bool   `json:"err-truncated"`
}

const (
	// pollEvery is how often the agent is asked whether a process has ended.
	pollEvery = 100 * time.Millisecond
	// answerWithin bounds one such question: a guest that does not answer that
	// long is gone.
	answerWithin = 30 * time.Second
)

var errRunning = errors.New("it is still running")

// Exec runs a process in the guest to its end. The agent hands over what it
// printed only then, and only 16 MiB of it: more is an error.
func (c *Conn) Exec(ctx context.Context, p Process) (Ended, error) {
	var started struct {
		PID int `json:"pid"`
	}
	err := c.within(ctx, "guest-exec", struct {
		Process
		Capture bool `json:"capture-output"`
	}{p, true}, &started)
	if err != nil {
		return Ended{}, fmt.Errorf("start %s in the guest: %w", p.Path, err)
	}
	last, err := backoff.Retry(ctx, func() (status, error) {
		var s status
		err := c.within(ctx, "guest-exec-status", map[string]int{"pid": started.PID}, &s)
		switch {
		case err != nil:
			return s, backoff.Permanent(err)
		case !s.Exited:
			return s, errRunning
		}
		return s, nil
	}, backoff.WithBackOff(backoff.NewConstantBackOff(pollEvery)), backoff.WithMaxElapsedTime(0))
	if err != nil {
		return Ended{}, fmt.Errorf("wait for %s in the guest: %w", p.Path, err)
	}
	return last.ended(p.Path)
}

func (c *Conn) within(ctx context.Context, command string, arguments, result any) error {
	ctx, cancel := context.WithTimeoutCause(ctx, answerWithin, fmt.Errorf("no answer within %s", answerWithin))
	defer cancel()
	return c.Call(ctx, command, arguments, result)
}

func (s status) ended(path string) (Ended, error) {
	e := Ended{Stdout: s.Stdout, Stderr: s.Stderr}
	switch {
	case s.Exitcode != nil:
		e.Code = *s.Exitcode
	case s.Signal != nil:
		e.Code = 128 + *s.Signal
	default:
		return e, fmt.Errorf("the guest agent does not say how %s ended", path)
	}
	if s.OutTruncated || s.ErrTruncated {
		return e, fmt.Errorf("%s printed more than the guest agent keeps", path)
	}
	return e, nil
}
