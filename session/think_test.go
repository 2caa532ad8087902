package session

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
)

// A diagnosis of very much does not hold an interrupted run up.
func TestThinkObeysTheContext(t *testing.T) {
	t.Parallel()
	over := errors.New("interrupted")
	ctx, cancel := context.WithCancelCause(t.Context())
	begun, forever := make(chan struct{}), make(chan struct{})
	defer close(forever)
	go func() {
		<-begun
		cancel(over)
	}()
	require.ErrorIs(t, think(ctx, func() {
		close(begun)
		<-forever
	}), over)
	thought := false
	require.NoError(t, think(t.Context(), func() { thought = true }))
	require.True(t, thought)
}
