package main

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestRaceTakesTurns(t *testing.T) {
	t.Parallel()
	var order string
	runner := func(name string, took time.Duration) contender {
		return contender{name, func(context.Context) (time.Duration, error) {
			order += name
			return took, nil
		}}
	}
	s, err := race{"w", runner("a", time.Second), runner("b", 3*time.Second), 3}.measure(t.Context(), io.Discard)
	require.NoError(t, err)
	require.Equal(t, "abbaab", order)
	require.Equal(t, []float64{1, 1, 1}, s.Ours)
	require.Equal(t, []float64{3, 3, 3}, s.Theirs)
}

// A run that failed is no fast run.
func TestRaceFails(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	bad := contender{"bad", func(context.Context) (time.Duration, error) { return time.Millisecond, broken }}
	_, err := race{"w", bad, bad, 2}.measure(t.Context(), io.Discard)
	require.ErrorIs(t, err, broken)
	require.ErrorContains(t, err, "w, repeat 1: bad")
}

func TestParse(t *testing.T) {
	t.Parallel()
	o, err := parse([]string{"-n", "2", "-parts", "dockerd"}, io.Discard)
	require.NoError(t, err)
	require.Equal(t, []string{"inside", "-n", "2", "-slow", "3", "-parts", "dockerd"}, o.insideArgs())
	for _, bad := range [][]string{{"-n", "0"}, {"-slow", "0"}, {"-parts", "x"}, {"-y"}, {"more"}} {
		_, err := parse(bad, io.Discard)
		require.Error(t, err, "%v", bad)
	}
}
