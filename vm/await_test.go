package vm_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/vm"
)

var errNotYet = errors.New("not yet")

// after is met at the nth check.
func after(n int, checks *int) func(context.Context) error {
	return func(context.Context) error {
		if *checks++; *checks < n {
			return errNotYet
		}
		return nil
	}
}

func never(context.Context) error { return errNotYet }

func TestAwaitPolls(t *testing.T) {
	t.Parallel()
	checks := 0
	unmet, err := vm.Await(t.Context(), []vm.Requirement{
		{Description: "agent", Check: after(3, &checks), Within: 5 * time.Second, Fatal: true},
	})
	require.NoError(t, err)
	require.Empty(t, unmet)
	require.Equal(t, 3, checks)
}

// A guest without a lease is still looked at; one that did not boot is not.
func TestAwaitFatal(t *testing.T) {
	t.Parallel()
	lease := vm.Requirement{Description: "lease", Check: never, Within: 300 * time.Millisecond, Hint: "look at the DHCP server"}
	checks := 0
	route := vm.Requirement{Description: "route", Check: after(1, &checks), Within: time.Second}
	unmet, err := vm.Await(t.Context(), []vm.Requirement{lease, route})
	require.NoError(t, err)
	require.Len(t, unmet, 1)
	require.ErrorIs(t, unmet[0], errNotYet)
	require.Equal(t, "no lease within 300ms (not yet): look at the DHCP server", unmet[0].Error())
	require.Equal(t, 1, checks)

	lease.Fatal = true
	_, err = vm.Await(t.Context(), []vm.Requirement{lease, route})
	require.ErrorContains(t, err, "no lease within")
	require.Equal(t, 1, checks, "nothing is asked after what is fatal")
}

// A check that blocks ends with its time, and what was seen before is kept.
func TestAwaitBlocked(t *testing.T) {
	t.Parallel()
	first := true
	unmet, err := vm.Await(t.Context(), []vm.Requirement{{Description: "agent", Within: 500 * time.Millisecond, Check: func(ctx context.Context) error {
		if first {
			first = false
			return errNotYet
		}
		<-ctx.Done()
		return ctx.Err()
	}}})
	require.NoError(t, err)
	require.ErrorIs(t, unmet[0].Why, errNotYet)
}

// The end of the whole is told with its cause.
func TestAwaitEnded(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	gone := errors.New("QEMU ended")
	time.AfterFunc(200*time.Millisecond, func() { cancel(gone) })
	_, err := vm.Await(ctx, []vm.Requirement{{Description: "agent", Check: never, Within: time.Hour}})
	require.ErrorIs(t, err, gone)
}
