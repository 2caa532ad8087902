package tail_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/tail"
)

// However it is written, the end is kept, and what was cut is counted.
func TestWriter(t *testing.T) {
	t.Parallel()
	whole := strings.Repeat("0123456789", 50) + "the end"
	for size := 1; size < len(whole); size += 7 {
		w := tail.New(20)
		for at := 0; at < len(whole); at += size {
			n, err := w.Write([]byte(whole[at:min(at+size, len(whole))]))
			require.NoError(t, err)
			require.Equal(t, min(size, len(whole)-at), n)
		}
		end, cut := w.Bytes()
		require.Equal(t, whole[len(whole)-20:], string(end))
		require.EqualValues(t, len(whole)-20, cut)
		require.Equal(t, "(487 bytes cut) … "+whole[len(whole)-20:], w.String())
	}
	short := tail.New(20)
	fmt.Fprint(short, " all of it\n")
	require.Equal(t, "all of it", short.String())
}

// Two streams of a guest come from two sides at once.
func TestWriterFromTwoSides(t *testing.T) {
	t.Parallel()
	w, line := tail.New(1<<10), []byte(strings.Repeat("x", 99)+"\n")
	var both sync.WaitGroup
	for range 2 {
		both.Go(func() {
			for range 1000 {
				w.Write(line)
				_ = w.String()
			}
		})
	}
	both.Wait()
	end, cut := w.Bytes()
	require.EqualValues(t, 200_000, int64(len(end))+cut)
}

func TestFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log")
	require.Contains(t, tail.File(path, 8), "no such file")
	require.NoError(t, os.WriteFile(path, []byte("one\ntwo\nthree\n"), 0o644))
	require.Equal(t, "(6 bytes cut) … o\nthree", tail.File(path, 8))
	require.Equal(t, "one | two | three", tail.Line(tail.File(path, 100)))
	require.Equal(t, "it is empty", tail.Line("\n"))
}

func TestText(t *testing.T) {
	t.Parallel()
	require.Equal(t, " as it is ?\n", tail.Text(" as it is \xff\n", 64))
	cut := tail.Text(strings.Repeat("x", 999)+"end", 64)
	require.LessOrEqual(t, len(cut), 64)
	require.True(t, strings.HasPrefix(cut, "(970 bytes cut) … x") && strings.HasSuffix(cut, "xend"), cut)
}
