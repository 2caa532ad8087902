package main

import (
	"context"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// started runs a shell script and gives its identity and a wait for its end.
func started(t *testing.T, script string) (process, <-chan error) {
	t.Helper()
	cmd := exec.Command("sh", "-c", script)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	_, err = out.Read(make([]byte, 1)) // the script prints when it is ready
	require.NoError(t, err)
	p, err := identify(cmd.Process.Pid)
	require.NoError(t, err)
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	return p, done
}

func TestEndAsksFirst(t *testing.T) {
	t.Parallel()
	p, done := started(t, `trap 'exit 7' TERM; echo; while :; do sleep 0.05; done`)
	require.True(t, p.alive())
	require.NoError(t, p.end(t.Context(), time.Minute))
	require.ErrorContains(t, <-done, "exit status 7")
	require.False(t, p.alive())
	require.NoError(t, p.end(t.Context(), time.Second), "ending what has ended is nothing")
}

func TestEndKillsWhatDoesNotListen(t *testing.T) {
	t.Parallel()
	p, done := started(t, `trap '' TERM; echo; while :; do sleep 0.05; done`)
	require.NoError(t, p.end(t.Context(), 300*time.Millisecond))
	require.ErrorContains(t, <-done, "killed")
}

func TestEndSparesAnotherProcessWithTheSameNumber(t *testing.T) {
	t.Parallel()
	p, done := started(t, `trap 'exit 0' TERM; echo; while :; do sleep 0.05; done`)
	other := p
	other.Start = "1"
	require.False(t, other.alive())
	require.NoError(t, other.end(t.Context(), time.Second))
	other = p
	other.Boot = "another boot"
	require.NoError(t, other.end(t.Context(), time.Second))
	require.True(t, p.alive(), "the process that has the number now was ended")
	require.NoError(t, p.end(t.Context(), time.Minute))
	require.NoError(t, <-done)
}

func TestEndStopsWaitingWithItsContext(t *testing.T) {
	t.Parallel()
	p, done := started(t, `trap '' TERM; echo; while :; do sleep 0.05; done`)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, p.end(ctx, time.Hour), context.DeadlineExceeded)
	require.NoError(t, p.end(t.Context(), time.Millisecond))
	require.Error(t, <-done)
}

func FuzzParseStat(f *testing.F) {
	for _, s := range []string{"", ")", "1 (a) b) Z", "7 (sh) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20", "7 (a b) (c) Z 1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		start, _, err := parseStat(s)
		require.Equal(t, err != nil, start == "")
	})
}

func TestParseStatCountsFromTheName(t *testing.T) {
	t.Parallel()
	start, ended, err := parseStat("7 (a ) Z 1) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20")
	require.NoError(t, err)
	require.Equal(t, "4711", start)
	require.False(t, ended)
}
