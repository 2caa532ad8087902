package qapi_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/testbed/await"
	"github.com/nestlab/nestlab/vm/qapi"
)

// QEMU's monitor greets, and puts events between the answers.
func TestMonitor(t *testing.T) {
	t.Parallel()
	socket := fake(t, func(conn net.Conn, requests *bufio.Reader) {
		io.WriteString(conn, `{"QMP": {"version": {"qemu": {"major": 7}}, "capabilities": ["oob"]}}`+"\r\n")
		for {
			line, err := requests.ReadBytes('\n')
			if err != nil {
				return
			}
			var q asked
			if json.Unmarshal(line, &q) != nil {
				return
			}
			io.WriteString(conn, `{"timestamp": {"seconds": 1}, "event": "STOP"}`+"\r\n")
			write(conn, map[string]any{"return": map[string]any{"status": "stale"}, "id": q.ID + 100})
			write(conn, map[string]any{"return": map[string]any{"status": "running"}, "id": q.ID})
		}
	})
	c, err := qapi.DialMonitor(await.Context(t), socket)
	require.NoError(t, err)
	defer c.Close()
	var s struct{ Status string }
	require.NoError(t, c.Call(await.Context(t), "query-status", nil, &s))
	require.Equal(t, "running", s.Status)
}

// FuzzAnswer: whatever comes back is an answer or an error, and never hangs.
func FuzzAnswer(f *testing.F) {
	for _, s := range []string{
		"", "\n", "{}\n", `{"return": {"pid": 1}}` + "\n", `{"return": null}` + "\n", `{"error": {}}` + "\n", "\xff\n",
		`{"event": "STOP"}` + "\n" + `{"return": {}}` + "\n", `{"QMP": {}}` + "\n", `{"return": {"pid": 1}, "id": 9}` + "\n", `{"ret`,
		`{"return": {"exited": true, "exitcode": 0, "out-data": "aGk="}}` + "\n", `[]` + "\n", `{"id": "x"}` + "\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		here, there := net.Pipe()
		go func() {
			defer there.Close()
			if _, err := bufio.NewReader(there).ReadBytes('\n'); err != nil {
				return
			}
			there.Write(text)
		}()
		c := qapi.New(here)
		defer c.Close()
		var result map[string]any
		err := c.Call(await.Context(t), "guest-ping", nil, &result)
		require.NotErrorIs(t, err, context.DeadlineExceeded, "hangs on %q", text)
		if err == nil {
			require.Contains(t, strings.ToLower(string(text)), "\"", "%q is no answer", text)
		}
	})
}
