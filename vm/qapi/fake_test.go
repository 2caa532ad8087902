package qapi_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// asked is what a fake was sent.
type asked struct {
	Execute   string         `json:"execute"`
	Arguments map[string]any `json:"arguments"`
	ID        uint64         `json:"id"`
}

// fake listens on a unix socket and has each connection served by serve.
func fake(t *testing.T, serve func(conn net.Conn, requests *bufio.Reader)) string {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "agent.sock")
	l, err := net.Listen("unix", socket)
	require.NoError(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			serve(conn, bufio.NewReader(conn))
			conn.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return socket
}

// agent is a fake guest agent: answer says what it writes for each request but
// the synchronization, and whether the connection goes on.
func agent(t *testing.T, answer func(w io.Writer, q asked) (more bool)) string {
	t.Helper()
	return fake(t, func(conn net.Conn, requests *bufio.Reader) {
		for {
			line, err := requests.ReadBytes('\n')
			if err != nil {
				return
			}
			delimited := len(line) > 0 && line[0] == 0xff
			if delimited {
				line = line[1:]
				// As the real one does with the sentinel.
				io.WriteString(conn, `{"error": {"class": "GenericError", "desc": "JSON parse error, stray '\uFFFD'"}}`+"\n")
			}
			var q asked
			if json.Unmarshal(line, &q) != nil {
				return
			}
			if q.Execute == "guest-sync-delimited" {
				conn.Write([]byte{0xff})
				write(conn, map[string]any{"return": q.Arguments["id"]})
				continue
			}
			if !answer(conn, q) {
				return
			}
		}
	})
}

func write(w io.Writer, v any) {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	w.Write(append(text, '\n'))
}

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}
