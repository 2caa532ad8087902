package vm

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/canonical/lxd/client"
	"github.com/canonical/lxd/shared/api"
	"github.com/stretchr/testify/require"
)

// untold is an operation whose end nothing tells of, or only later.
type untold struct {
	lxd.Operation
	later <-chan time.Time
}

func (u untold) Get() api.Operation { return api.Operation{ID: "7"} }
func (u untold) Cancel() error      { return errors.New("it cannot be cancelled") }

func (u untold) WaitContext(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-u.later:
		return errors.New("told")
	}
}

// lookedAt answers each look at operation 7 with the next of these.
type lookedAt struct {
	Server
	answers []api.Operation
	err     error // after them
}

func (l *lookedAt) GetOperation(uuid string) (*api.Operation, string, error) {
	if uuid != "7" {
		return nil, "", errors.New("of another operation")
	}
	if len(l.answers) == 0 {
		return nil, "", l.err
	}
	next := l.answers[0]
	l.answers = l.answers[1:]
	return &next, "", nil
}

// An end that LXD told nobody of is seen all the same, and with what came of it.
func TestTheEndOfAnOperation(t *testing.T) {
	before := lookEvery
	lookEvery = 10 * time.Millisecond
	t.Cleanup(func() { lookEvery = before })
	running := api.Operation{StatusCode: api.Running}
	for _, c := range []struct {
		name  string
		op    untold
		looks lookedAt
		value any
		says  string
	}{
		{
			name:  "well",
			looks: lookedAt{answers: []api.Operation{running, {StatusCode: api.Success, Metadata: map[string]any{"return": 3.0}}}},
			value: 3.0,
		},
		{name: "not well", looks: lookedAt{answers: []api.Operation{running, {StatusCode: api.Failure, Err: "Unsupported compression"}}}, says: "Unsupported compression"},
		{name: "forgotten", looks: lookedAt{answers: []api.Operation{running}, err: api.StatusErrorf(http.StatusNotFound, "Operation not found")}, says: "LXD has forgotten how it ended"},
		{
			name: "told while it is looked at", op: untold{later: time.After(100 * time.Millisecond)},
			looks: lookedAt{err: api.StatusErrorf(http.StatusNotFound, "Operation not found")}, says: "told",
		},
		{name: "LXD is gone", op: untold{later: time.After(100 * time.Millisecond)}, looks: lookedAt{err: errors.New("connection refused")}, says: "told"},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			ended, err := wait(ctx, &c.looks, c.op)
			if c.says != "" {
				require.EqualError(t, err, c.says)
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.value, ended.Metadata["return"])
		})
	}
}

// An interrupt ends the wait.
func TestAnOperationThatDoesNotEnd(t *testing.T) {
	ctx, cancel := context.WithTimeoutCause(t.Context(), 50*time.Millisecond, errors.New("interrupted"))
	defer cancel()
	_, err := wait(ctx, &lookedAt{}, untold{})
	require.ErrorContains(t, err, "interrupted")
	require.ErrorContains(t, err, "it cannot be cancelled")
}
