// Package await has tests wait for a thing itself, for as long as the test binary may
// run: a busy machine then makes a test slow, not red. `go test -timeout` is the bound.
package await

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	// cleanUp is what is kept of the time for what tests take away at their end.
	cleanUp = time.Minute
	// first and longest bound the pauses between two looks.
	first, longest = time.Millisecond, 20 * time.Millisecond
)

// True waits until the condition holds. It looks in the test's own goroutine, so that
// the condition may fail the test at once.
func True(t *testing.T, condition func() bool, msgAndArgs ...any) {
	t.Helper()
	ctx := Context(t)
	for pause := first; !condition(); pause = min(longest, pause*3/2) {
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			require.Fail(t, "the tests' time is over", msgAndArgs...)
		}
	}
}

// Receive gives what comes from a channel.
func Receive[T any](t *testing.T, from <-chan T, msgAndArgs ...any) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-Context(t).Done():
		require.Fail(t, "the tests' time is over", msgAndArgs...)
		panic("unreachable")
	}
}

// Context ends with the test, or with the tests' time.
func Context(t *testing.T) context.Context {
	t.Helper()
	end := Deadline(t)
	if end.IsZero() {
		return t.Context()
	}
	ctx, cancel := context.WithDeadline(t.Context(), end)
	t.Cleanup(cancel)
	return ctx
}

// Deadline is when the tests' time is over but for their clean-up; zero for never.
func Deadline(t *testing.T) time.Time {
	end, bounded := t.Deadline()
	if !bounded {
		return time.Time{}
	}
	return end.Add(-min(cleanUp, time.Until(end)/4))
}

// Said is for a message that is made only when it is needed.
type Said func() string

// String makes it.
func (s Said) String() string { return s() }
