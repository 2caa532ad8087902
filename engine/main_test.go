package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTheVersionIsTheOneThatIsPinned(t *testing.T) {
	t.Parallel()
	mod, err := os.ReadFile("go.mod")
	require.NoError(t, err)
	require.Contains(t, string(mod), "\t"+daggerModule+" "+daggerVersion+" ")
	require.Contains(t, string(mod), "\tdagger.io/dagger "+daggerVersion+" ")
	for _, b := range binaries {
		require.Contains(t, string(mod), "\t"+daggerModule+"/cmd/"+b+"\n")
	}
}

func TestALongStepGivesSignsOfLife(t *testing.T) {
	t.Parallel()
	said := &bytes.Buffer{}
	out := newProgress(said)
	out.tick = 10 * time.Millisecond
	require.NoError(t, out.step(t.Context(), "bake", func(context.Context) error {
		require.Eventually(t, func() bool {
			out.mu.Lock()
			defer out.mu.Unlock()
			return bytes.Contains(said.Bytes(), []byte("bake ... still at it"))
		}, left(t), time.Millisecond)
		return nil
	}))
	require.Contains(t, said.String(), "bake: done in")
	burnt := errors.New("burnt")
	require.ErrorIs(t, out.step(t.Context(), "roast", func(context.Context) error { return burnt }), burnt)
	require.Contains(t, said.String(), "roast failed after 0:00")
	require.LessOrEqual(t, tickEvery, 15*time.Second)
}

func TestAFailedCommandShowsTheEndOfItsLog(t *testing.T) {
	t.Parallel()
	c := cache{t.TempDir()}
	require.NoError(t, c.prepare())
	err := c.run("job", exec.Command("sh", "-c", "seq 100; exit 3"))
	require.ErrorContains(t, err, "exit status 3")
	require.ErrorContains(t, err, "--- the last lines of "+c.path("log/job.log")+"\n81\n82\n")
	require.ErrorContains(t, err, "\n100\n---")
}

func TestAnInterruptedCommandEndsWithItsChildren(t *testing.T) {
	t.Parallel()
	c := cache{t.TempDir()}
	require.NoError(t, c.prepare())
	ctx, interrupt := context.WithCancel(t.Context())
	pidFile := c.path("tmp", "pid")
	ended := make(chan error, 1)
	go func() {
		ended <- c.run("job", newCommand(ctx, "sh", "-c", `sleep 600 & echo $! >"$1"; wait`, "sh", pidFile))
	}()
	var b []byte
	require.Eventually(t, func() bool {
		var err error
		b, err = os.ReadFile(pidFile)
		return err == nil && bytes.HasSuffix(b, []byte("\n"))
	}, left(t), time.Millisecond)
	interrupt()
	require.ErrorContains(t, <-ended, "terminated", "it was killed")
	child, err := strconv.Atoi(strings.TrimSpace(string(b)))
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		_, err := identify(child)
		return err != nil
	}, left(t), 10*time.Millisecond, "the child outlives its parent")
}

// left is the tests' time but for their clean-up: the bound of what is waited for.
func left(t *testing.T) time.Duration {
	end, bounded := t.Deadline()
	if !bounded {
		return time.Hour
	}
	return time.Until(end) * 3 / 4
}
