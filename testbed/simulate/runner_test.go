package simulate

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/session"
)

// However long a daemon takes to start, it is said every minute which one is waited for.
func TestSaysWhichDaemonItWaitsFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		takes := func(d time.Duration, err error) func(context.Context) error {
			return func(context.Context) error {
				time.Sleep(d)
				return err
			}
		}
		broken := errors.New("no storage driver")
		var said bytes.Buffer
		err := inTurn(t.Context(), session.NewPulse(&said), []step{
			{"dockerd", takes(150*time.Second, broken)}, {"lxd", takes(100*time.Second, nil)},
		})
		require.ErrorIs(t, err, broken)
		time.Sleep(time.Hour)
		require.Equal(t, `[  60.0s] still starting dockerd, for 1m0s so far
[ 120.0s] still starting dockerd, for 2m0s so far
[ 180.0s] still starting lxd, for 30s so far
[ 240.0s] still starting lxd, for 1m30s so far
`, said.String())
	})
}
