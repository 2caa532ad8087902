package vm

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/canonical/lxd/client"
	"github.com/canonical/lxd/shared/api"
	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/testbed/await"
)

// untold is an operation whose end nothing tells of, or only later.
type untold struct {
	lxd.Operation
	later time.Duration // 0 is never
}

func (u untold) Get() api.Operation { return api.Operation{ID: "7"} }
func (u untold) Cancel() error      { return errors.New("it cannot be cancelled") }

func (u untold) WaitContext(ctx context.Context) error {
	var later <-chan time.Time
	if u.later > 0 {
		later = time.After(u.later)
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-later:
		return errors.New("told")
	}
}

// lookedAt answers each look at operation 7 with the next of these, or with the error.
type lookedAt struct {
	Server
	answers []api.Operation
	err     error // after them
	failed  atomic.Int32
}

func (l *lookedAt) GetOperation(uuid string) (*api.Operation, string, error) {
	if uuid != "7" {
		return nil, "", errors.New("of another operation")
	}
	if len(l.answers) == 0 {
		l.failed.Add(1)
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
		looks *lookedAt
		value any
		says  string
	}{
		{
			name:  "well",
			looks: &lookedAt{answers: []api.Operation{running, {StatusCode: api.Success, Metadata: map[string]any{"return": 3.0}}}},
			value: 3.0,
		},
		{name: "not well", looks: &lookedAt{answers: []api.Operation{running, {StatusCode: api.Failure, Err: "Unsupported compression"}}}, says: "Unsupported compression"},
		{name: "cancelled", looks: &lookedAt{answers: []api.Operation{{StatusCode: api.Cancelled}}}, says: "LXD has cancelled it"},
		{name: "forgotten", looks: &lookedAt{answers: []api.Operation{running}, err: api.StatusErrorf(http.StatusNotFound, "Operation not found")}, says: "LXD has forgotten how it ended"},
		{
			name: "told while it is looked at", op: untold{later: 100 * time.Millisecond},
			looks: &lookedAt{err: api.StatusErrorf(http.StatusNotFound, "Operation not found")}, says: "told",
		},
		{name: "LXD is gone", op: untold{later: 1200 * time.Millisecond}, looks: &lookedAt{err: errors.New("connection refused")}, says: "told"},
	} {
		t.Run(c.name, func(t *testing.T) {
			ended, err := wait(await.Context(t), c.looks, c.op)
			if c.says != "" {
				require.EqualError(t, err, c.says)
				require.Equal(t, c.looks.err != nil, c.looks.failed.Load() > 0, "it was told before it was looked at")
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.value, ended.Metadata["return"])
		})
	}
}

// An interrupt ends the wait.
func TestAnOperationThatDoesNotEnd(t *testing.T) {
	ctx, interrupt := context.WithCancelCause(t.Context())
	before := lookEvery
	lookEvery = time.Millisecond
	t.Cleanup(func() { lookEvery = before })
	looks := &lookedAt{err: errors.New("connection refused")}
	ended := make(chan error, 1)
	go func() { _, err := wait(ctx, looks, untold{}); ended <- err }()
	await.True(t, func() bool { return looks.failed.Load() > 1 }, "it was looked at once")
	interrupt(errors.New("interrupted"))
	err := <-ended
	require.ErrorContains(t, err, "interrupted")
	require.ErrorContains(t, err, "it cannot be cancelled")
}
