package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// holdVariable makes the test binary a second process that takes the lock.
const holdVariable = "NESTLAB_TEST_HOLD"

func TestMain(m *testing.M) {
	dir, ok := os.LookupEnv(holdVariable)
	if !ok {
		os.Exit(m.Run())
	}
	unlock, err := cache{dir: dir}.lock(context.Background(), newProgress(io.Discard))
	if err != nil {
		panic(err)
	}
	os.Stdout.WriteString("held\n")
	if _, err := io.ReadAll(os.Stdin); err != nil {
		panic(err)
	}
	if err := unlock(); err != nil {
		panic(err)
	}
}

// hold starts a process that has the lock until its input is closed.
func hold(t *testing.T, dir string) (*exec.Cmd, io.Closer) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "up")
	cmd.Env = append(os.Environ(), holdVariable+"="+dir)
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	_, err = io.ReadFull(out, make([]byte, len("held\n")))
	require.NoError(t, err)
	return cmd, in
}

func TestTheSecondRunWaitsAndSaysForWhom(t *testing.T) {
	t.Parallel()
	c := cache{dir: t.TempDir() + "/engine"}
	first, end := hold(t, c.dir)
	said := &safeBuffer{}
	got := make(chan error, 1)
	go func() {
		unlock, err := c.lock(t.Context(), newProgress(said))
		if err == nil {
			err = unlock()
		}
		got <- err
	}()
	require.Eventually(t, func() bool {
		return said.contains("waiting for process " + strconv.Itoa(first.Process.Pid) + " (engine up")
	}, left(t), 10*time.Millisecond)
	require.Empty(t, got, "the second run went on while the first had the lock")
	require.NoError(t, end.Close())
	require.NoError(t, <-got)
	require.NoError(t, first.Wait())
}

func TestWaitingForTheLockEndsWithItsContext(t *testing.T) {
	t.Parallel()
	c := cache{dir: t.TempDir() + "/engine"}
	first, end := hold(t, c.dir)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, err := c.lock(ctx, quiet())
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.NoError(t, end.Close())
	require.NoError(t, first.Wait())
}

func TestALockOfAKilledRunIsFree(t *testing.T) {
	t.Parallel()
	c := cache{dir: t.TempDir() + "/engine"}
	first, _ := hold(t, c.dir)
	require.NoError(t, first.Process.Kill())
	require.Error(t, first.Wait())
	unlock, err := c.lock(t.Context(), quiet())
	require.NoError(t, err)
	require.NoError(t, unlock())
}

// safeBuffer is a buffer that two goroutines may use.
type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) contains(text string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return bytes.Contains(s.b.Bytes(), []byte(text))
}
