package dind

import (
	"bytes"
	"encoding/binary"
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/docker/docker/pkg/stdcopy"
	"github.com/stretchr/testify/require"
)

func frame(kind byte, size int, text string) string {
	head := make([]byte, 8)
	head[0] = kind
	binary.BigEndian.PutUint32(head[4:], uint32(size))
	return string(head) + text
}

func TestDemux(t *testing.T) {
	t.Parallel()
	var in, out, log bytes.Buffer
	for _, text := range []string{"one\n", strings.Repeat("two ", 20_000), ""} {
		_, err := stdcopy.NewStdWriter(&in, stdcopy.Stdout).Write([]byte(text))
		require.NoError(t, err)
		_, err = stdcopy.NewStdWriter(&in, stdcopy.Stderr).Write([]byte("log of " + text[:min(3, len(text))]))
		require.NoError(t, err)
	}
	require.NoError(t, demux(&out, &log, io.MultiReader(&in, strings.NewReader(frame(1, 100, "cut off")))))
	require.Equal(t, "one\n"+strings.Repeat("two ", 20_000)+"cut off", out.String())
	require.Equal(t, "log of onelog of twolog of ", log.String())
	require.ErrorContains(t, demux(&out, &log, strings.NewReader(frame(3, 6, "broken"))), "the daemon says: broken")
	require.ErrorContains(t, demux(&out, &log, strings.NewReader(frame(9, 6, "broken"))), "kind 9")
}

// A frame may be announced to be as long as its head can say: it is not held.
func TestDemuxHoldsNoFrame(t *testing.T) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	require.NoError(t, demux(io.Discard, io.Discard, strings.NewReader(frame(1, 1<<32-1, "short"))))
	runtime.ReadMemStats(&after)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(1<<20))
}
