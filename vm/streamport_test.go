package vm

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/testbed/await"
)

// testPort is a guest's port for output and the host's socket of it: what is written
// to the one waits until somebody reads from the other, and is read once.
func testPort(t *testing.T) (port, socket string) {
	t.Helper()
	dir := t.TempDir()
	port, socket = filepath.Join(dir, "port"), filepath.Join(dir, "socket")
	require.NoError(t, syscall.Mkfifo(port, 0o600))
	guest, err := os.OpenFile(port, os.O_RDWR, 0) // it survives each who writes there
	require.NoError(t, err)
	host, err := net.Listen("unix", socket)
	require.NoError(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		carry(guest, host)
	}()
	t.Cleanup(func() {
		require.NoError(t, errors.Join(guest.Close(), host.Close()))
		<-done
	})
	return port, socket
}

func carry(guest io.Reader, host net.Listener) {
	var waiting []byte
	for buffer := make([]byte, 4096); ; {
		conn, err := host.Accept()
		if err != nil {
			return
		}
		for err == nil {
			if len(waiting) == 0 {
				n, failed := guest.Read(buffer)
				if failed != nil {
					conn.Close()
					return
				}
				waiting = buffer[:n]
			}
			if _, err = conn.Write(waiting); err == nil {
				waiting = nil
			}
		}
		conn.Close()
	}
}

// heard is what came out of a port, to be read while more comes.
type heard struct {
	mu   sync.Mutex
	text strings.Builder
}

func (h *heard) Write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.text.Write(p)
}

func (h *heard) String() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.text.String()
}

// A command that the host has given up goes on printing in the guest: none of that is
// in the output of the next one, and nothing of the next one's is missing.
func TestOldCommandIsPassedOver(t *testing.T) {
	t.Parallel()
	port, socket := testPort(t)
	var old, next heard
	first, err := listen(t.Context(), socket, &old)
	require.NoError(t, err)
	ctx, end := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := Send(ctx, port, first.token, []string{"sh", "-c", "while :; do echo an old line; printf 'an old half '; sleep 0.01; done"}, nil, io.Discard)
		ended <- err
	}()
	await.True(t, func() bool { return strings.Contains(old.String(), "an old half an old line\n") })
	require.Error(t, first.close(true))

	second, err := listen(t.Context(), socket, &next)
	require.NoError(t, err)
	script := "for i in 1 2 3 4 5; do echo line $i; printf 'half a '; sleep 0.1; echo line; done; printf last"
	code, err := Send(t.Context(), port, second.token, []string{"sh", "-c", script}, nil, io.Discard)
	require.NoError(t, err)
	require.Zero(t, code)
	require.NoError(t, second.close(false))
	want := ""
	for _, i := range []string{"1", "2", "3", "4", "5"} {
		want += "line " + i + "\nhalf a line\n"
	}
	require.Equal(t, want+"last", next.String())
	end()
	require.Error(t, <-ended)
}

// At its limit a command ends with all that it began.
func TestSendEndsTheWholeGroup(t *testing.T) {
	t.Parallel()
	port, socket := testPort(t)
	s, err := listen(t.Context(), socket, io.Discard)
	require.NoError(t, err)
	ctx, end := context.WithCancel(await.Context(t))
	// Each process of the command has the writing end: it is closed when all are gone.
	read, write, err := os.Pipe()
	require.NoError(t, err)
	defer read.Close()
	begun := make(chan error, 1)
	go func() {
		_, err := io.ReadFull(read, make([]byte, len("here\n")))
		begun <- err
		end()
	}()
	_, err = Send(ctx, port, s.token, []string{"sh", "-c", "sh -c 'echo here >&2; sleep infinity; :' & wait"}, nil, write)
	require.ErrorIs(t, err, context.Canceled)
	require.NoError(t, <-begun)
	require.NoError(t, write.Close())
	require.NoError(t, read.SetReadDeadline(await.Deadline(t)))
	text, err := io.ReadAll(read)
	require.NoError(t, err, "something of the command is still there")
	require.Empty(t, text)
	require.Error(t, s.close(true))
}

// A command that prints what nobody takes ends at its limit too.
func TestSendEndsThoughNobodyReads(t *testing.T) {
	t.Parallel()
	port, _ := testPort(t)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	begun := time.Now()
	_, err := Send(ctx, port, "t0", []string{"yes"}, nil, io.Discard)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Less(t, time.Since(begun), drainWithin)
}

// What a command leaves running with its output open holds nobody up.
func TestSendWaitsForNoChildren(t *testing.T) {
	t.Parallel()
	port, socket := testPort(t)
	var out heard
	s, err := listen(t.Context(), socket, &out)
	require.NoError(t, err)
	begun := time.Now()
	code, err := Send(t.Context(), port, s.token, []string{"sh", "-c", "sleep 120 & echo done; exit 4"}, nil, io.Discard)
	require.NoError(t, err)
	require.Equal(t, 4, code)
	require.Less(t, time.Since(begun), 100*time.Second)
	require.NoError(t, s.close(false))
	require.Equal(t, "done\n", out.String())
}
