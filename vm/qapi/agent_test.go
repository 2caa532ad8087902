package qapi_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/testbed/await"
	"github.com/nestlab/nestlab/vm/qapi"
)

// status is what a fake says of its process.
func status(w io.Writer, fields map[string]any) { write(w, map[string]any{"return": fields}) }

func TestExec(t *testing.T) {
	t.Parallel()
	var got asked
	polls := 0
	socket := agent(t, func(w io.Writer, q asked) bool {
		switch q.Execute {
		case "guest-exec":
			got = q
			status(w, map[string]any{"pid": 42})
		case "guest-exec-status":
			assert.EqualValues(t, 42, q.Arguments["pid"])
			if polls++; polls < 3 {
				status(w, map[string]any{"exited": false})
			} else {
				status(w, map[string]any{"exited": true, "exitcode": 7, "out-data": []byte("out\x00put"), "err-data": []byte("err")})
			}
		}
		return true
	})
	c, err := qapi.DialAgent(await.Context(t), socket)
	require.NoError(t, err)
	defer c.Close()
	e, err := c.Exec(await.Context(t), qapi.Process{
		Path: "/bin/nestlab", Args: []string{"probe", "a b"}, Env: []string{"HOME=/root"}, Stdin: []byte("targets\n"),
	})
	require.NoError(t, err)
	require.Equal(t, qapi.Ended{Code: 7, Stdout: []byte("out\x00put"), Stderr: []byte("err")}, e)
	require.Equal(t, 3, polls)
	require.Equal(t, map[string]any{
		"path": "/bin/nestlab", "arg": []any{"probe", "a b"}, "env": []any{"HOME=/root"},
		"input-data": "dGFyZ2V0cwo=", "capture-output": true,
	}, got.Arguments)
}

func TestEnds(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		fields map[string]any
		code   int
		says   string
	}{
		{"signal", map[string]any{"exited": true, "signal": 9}, 137, ""},
		{"zero", map[string]any{"exited": true, "exitcode": 0}, 0, ""},
		{"truncated", map[string]any{"exited": true, "exitcode": 0, "out-truncated": true}, 0, "more than the guest agent keeps"},
		{"untold", map[string]any{"exited": true}, 0, "does not say how"},
		{"not base64", map[string]any{"exited": true, "exitcode": 0, "out-data": "!!"}, 0, "is none to it"},
		{"a number for a truth", map[string]any{"exited": 1}, 0, "is none to it"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			socket := agent(t, func(w io.Writer, q asked) bool {
				if q.Execute == "guest-exec" {
					status(w, map[string]any{"pid": 1})
				} else {
					status(w, c.fields)
				}
				return true
			})
			agent, err := qapi.DialAgent(await.Context(t), socket)
			require.NoError(t, err)
			defer agent.Close()
			e, err := agent.Exec(await.Context(t), qapi.Process{Path: "/bin/x"})
			if c.says != "" {
				require.ErrorContains(t, err, c.says)
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.code, e.Code)
		})
	}
}

// What an earlier connection left in the port is passed over.
func TestSyncPassesOverWhatIsLeft(t *testing.T) {
	t.Parallel()
	for _, left := range []string{
		"", "{\"return\": 1}\n", "{\"return\": {\"half", "\xff{\"return\": 99}\n", strings.Repeat("x", 1<<20), "\xff\xff\n",
	} {
		socket := fake(t, func(conn net.Conn, requests *bufio.Reader) {
			io.WriteString(conn, left)
			line, err := requests.ReadBytes('\n')
			if err != nil {
				return
			}
			id := strings.TrimFunc(string(line), func(r rune) bool { return r < '0' || r > '9' })
			fmt.Fprintf(conn, "\xff{\"return\": %s}\r\n", id)
			requests.ReadBytes('\n')
		})
		c, err := qapi.DialAgent(await.Context(t), socket)
		require.NoError(t, err, "after %.20q", left)
		require.NoError(t, c.Close())
	}
}

// A guest that is not up does not answer: the wait is the caller's.
func TestNoAgent(t *testing.T) {
	t.Parallel()
	silent := fake(t, func(_ net.Conn, requests *bufio.Reader) { io.Copy(io.Discard, requests) })
	_, err := qapi.DialAgent(within(t, 300*time.Millisecond), silent)
	require.ErrorIs(t, err, context.DeadlineExceeded)

	closing := fake(t, func(net.Conn, *bufio.Reader) {})
	_, err = qapi.DialAgent(await.Context(t), closing)
	require.Error(t, err)

	_, err = qapi.DialAgent(await.Context(t), filepath.Join(t.TempDir(), "none"))
	require.ErrorContains(t, err, "reach the guest agent")
}

// Whatever breaks in the middle is an error at once, and the connection is not
// used again.
func TestBreaks(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, answer, says string }{
		{"garbage", "nonsense\n", "is no answer"},
		{"half json", "{\"return\": {\"pid\"", "EOF"},
		{"nothing", "", "EOF"},
		{"neither", "{}\n", "neither an answer nor an error"},
		{"of another type", "{\"return\": [1]}\n", "is none to it"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			socket := agent(t, func(w io.Writer, _ asked) bool {
				io.WriteString(w, c.answer)
				return false
			})
			a, err := qapi.DialAgent(await.Context(t), socket)
			require.NoError(t, err)
			defer a.Close()
			_, err = a.Exec(await.Context(t), qapi.Process{Path: "/bin/x"})
			require.ErrorContains(t, err, c.says)
			require.ErrorContains(t, a.Ping(await.Context(t)), "the connection is broken")
		})
	}
}

// An answer without end takes neither memory nor time without end.
func TestOversized(t *testing.T) {
	t.Parallel()
	block := bytes.Repeat([]byte("x"), 1<<20)
	socket := agent(t, func(w io.Writer, _ asked) bool {
		for {
			if _, err := w.Write(block); err != nil {
				return false
			}
		}
	})
	c, err := qapi.DialAgent(await.Context(t), socket)
	require.NoError(t, err)
	defer c.Close()
	require.ErrorContains(t, c.Ping(await.Context(t)), "longer than")
}

// What the agent refuses is an error that leaves the connection usable.
func TestRefusal(t *testing.T) {
	t.Parallel()
	socket := agent(t, func(w io.Writer, q asked) bool {
		if q.Execute == "guest-exec" {
			write(w, map[string]any{"error": map[string]string{"class": "GenericError", "desc": "no such file"}, "id": q.ID})
		} else {
			write(w, map[string]any{"return": map[string]any{}, "id": q.ID})
		}
		return true
	})
	c, err := qapi.DialAgent(await.Context(t), socket)
	require.NoError(t, err)
	defer c.Close()
	_, err = c.Exec(await.Context(t), qapi.Process{Path: "/bin/none"})
	var refused *qapi.Error
	require.ErrorAs(t, err, &refused)
	require.Equal(t, "no such file", refused.Desc)
	require.NoError(t, c.Ping(await.Context(t)))
}

// The caller's end ends the wait for a process that never does.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	socket := agent(t, func(w io.Writer, q asked) bool {
		if q.Execute == "guest-exec" {
			status(w, map[string]any{"pid": 1})
		} else {
			status(w, map[string]any{"exited": false})
		}
		return true
	})
	c, err := qapi.DialAgent(await.Context(t), socket)
	require.NoError(t, err)
	defer c.Close()
	_, err = c.Exec(within(t, 500*time.Millisecond), qapi.Process{Path: "/bin/forever"})
	require.ErrorIs(t, err, context.DeadlineExceeded)
}
