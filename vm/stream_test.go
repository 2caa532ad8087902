package vm

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/testbed/await"
)

// What Send writes to the port comes out of listen to the byte, and the command's own
// code is Send's.
func TestSend(t *testing.T) {
	t.Parallel()
	port, socket := testPort(t)
	var out heard
	s, err := listen(t.Context(), socket, &out)
	require.NoError(t, err)
	var log strings.Builder
	const script = `cat; printf 'a\0b\\0\\'; printf more; echo log >&2; exit 7`
	code, err := Send(t.Context(), port, s.token, []string{"sh", "-c", script}, strings.NewReader("in\n"), &log)
	require.NoError(t, err)
	require.Equal(t, 7, code)
	require.NoError(t, s.close(false))
	require.Equal(t, "in\na\x00b\\0\\more", out.String())
	require.Equal(t, "log\n", log.String())
	_, err = Send(t.Context(), filepath.Join(t.TempDir(), "none", "x"), "t0", []string{"true"}, nil, &log)
	require.ErrorContains(t, err, "open the port")
	_, err = Send(t.Context(), port, "t0", []string{"no-such-command"}, nil, &log)
	require.ErrorContains(t, err, "run no-such-command")
}

// What a command prints is there as soon as it is printed, a line that is not ended too.
func TestSendAtOnce(t *testing.T) {
	t.Parallel()
	port, socket := testPort(t)
	var out heard
	s, err := listen(t.Context(), socket, &out)
	require.NoError(t, err)
	read, write := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		_, err := Send(t.Context(), port, s.token, []string{"sh", "-c", "printf half; cat"}, read, io.Discard)
		ended <- err
	}()
	await.True(t, func() bool { return out.String() == "half" })
	require.NoError(t, write.Close())
	require.NoError(t, <-ended)
	require.NoError(t, s.close(false))
}

// A port that an earlier command still has open is waited for, any other failure is not.
func TestWhenFree(t *testing.T) {
	t.Parallel()
	tries := 0
	busyFor := func(n int, then error) func() (*os.File, error) {
		tries = 0
		return func() (*os.File, error) {
			if tries++; tries <= n {
				return nil, &os.PathError{Op: "open", Path: "port", Err: syscall.EBUSY}
			}
			return nil, then
		}
	}
	_, err := whenFree(t.Context(), busyFor(2, nil))
	require.NoError(t, err)
	require.Equal(t, 3, tries)
	_, err = whenFree(t.Context(), busyFor(0, syscall.ENOENT))
	require.ErrorIs(t, err, syscall.ENOENT)
	require.Equal(t, 1, tries)
	over := errors.New("over")
	ctx, cancel := context.WithTimeoutCause(t.Context(), 50*time.Millisecond, over)
	defer cancel()
	_, err = whenFree(ctx, busyFor(1000, nil))
	require.ErrorIs(t, err, over)
}

// The guest gets the time that is left of the limit on the host.
func TestSendArgs(t *testing.T) {
	t.Parallel()
	s := &stream{token: "t0"}
	require.Equal(t, []string{"vm", "send", "--port", streamDevice, "--token", "t0", "--", binaryPath, "probe", "--x"}, s.sendArgs(t.Context(), []string{"probe", "--x"}))
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	args := s.sendArgs(ctx, []string{"probe"})
	require.Equal(t, "--limit", args[6])
	limit, err := time.ParseDuration(args[7])
	require.NoError(t, err)
	require.InDelta(t, time.Hour, limit, float64(time.Minute))
	past, cancel := context.WithTimeout(t.Context(), -time.Hour)
	defer cancel()
	require.Equal(t, "1ns", s.sendArgs(past, nil)[7], "0 is for any time")
}

// A guest that never ends a record, its own or another, does not fill the memory.
func TestReceiveHoldsNoRecordWithoutAnEnd(t *testing.T) {
	for prefix, says := range map[string]string{"": "ended early", "\x00t0 ": "without an end"} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		endless := io.MultiReader(strings.NewReader(prefix), io.LimitReader(xs{}, 1<<28))
		require.ErrorContains(t, receive(endless, "t0", io.Discard), says)
		runtime.ReadMemStats(&after)
		require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(1<<20))
	}
}

// xs is without end.
type xs struct{}

func (xs) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

// Whatever else is in the stream, before, between and behind a command's records, and
// wherever it is cut, the output is what was printed.
func FuzzReceive(f *testing.F) {
	f.Add([]byte("line\nhalf"), []byte("an old line\n"), uint8(3))
	f.Add([]byte("a\x00b\\0\\"), []byte("\x00old torn in the mid"), uint8(1))
	f.Add([]byte("\x00t0\x00"), []byte("\x00old one\x00\x00old\x00"), uint8(2))
	f.Add([]byte(""), []byte("\x00"), uint8(0))
	f.Add(bytes.Repeat([]byte{0}, 3*recordSize), []byte(" t"), uint8(255))
	f.Fuzz(func(t *testing.T, printed, other []byte, size uint8) {
		const token = "t0"
		if bytes.Contains(other, []byte(token)) {
			t.Skip("tokens are drawn at random")
		}
		in, want := bytes.NewBuffer(bytes.Clone(other)), string(printed)
		for len(printed) > 0 {
			n := min(len(printed), max(1, int(size)))
			_, err := marked{in, token}.Write(printed[:n])
			require.NoError(t, err)
			in.Write(other)
			printed = printed[n:]
		}
		whole := in.Bytes()
		in.WriteString(lastRecord(token))
		in.Write(other)
		var out strings.Builder
		require.NoError(t, receive(in, token, &out))
		require.Equal(t, want, out.String())
		out.Reset()
		require.ErrorContains(t, receive(bytes.NewReader(whole), token, &out), "ended early")
		require.Equal(t, want, out.String(), "without an end there is an error, and all that came")
	})
}

// Of a guest that dies in the middle of a record all is there that came.
func TestReceiveCutOff(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	require.ErrorIs(t, receive(strings.NewReader("\x00t0 one\n\x00\x00t0 half"), "t0", &out), io.EOF)
	require.Equal(t, "one\nhalf", out.String())
	require.ErrorIs(t, receive(strings.NewReader("\x00t0"), "t0", &out), io.EOF, "its token may go on")
}
