package vm

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
)

// Another import is blamed where there is one, and not where no time is left.
func TestTurnsWhenNoTimeIsLeft(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	image := new(Imports).of("0123456789ab")
	for range 100 { // what is chosen of two that are ready is luck
		end, err := image.take(ctx)
		require.NoError(t, err)
		end()
	}
	_, err := image.take(t.Context())
	require.NoError(t, err)
	_, err = image.take(ctx)
	require.ErrorContains(t, err, "another import of the LXD image 0123456789ab")
	require.ErrorIs(t, err, context.Canceled)
}
