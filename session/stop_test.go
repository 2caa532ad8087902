package session_test

import (
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/session"
)

// stuck is a place that does not stop until it is given up.
type stuck struct{ *place }

func (s stuck) Stop(ctx context.Context) error {
	<-ctx.Done()
	return s.place.Stop(ctx)
}

// One that does not stop takes none of the time of the others.
func TestEachHasItsTimeToStop(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		refused := func(context.Context, session.Took) error { return errors.New("no") }
		first, last := &place{name: "first", start: refused}, &place{name: "last", start: refused}
		s := &session.Session{
			Lanes:  [][]session.Environment{{first, stuck{&place{name: "stuck", start: refused}}}, {last}},
			Append: func(model.Entry) error { return nil }, Progress: io.Discard,
		}
		_, err := s.Run(t.Context(), model.Plan{}, "dev")
		require.ErrorContains(t, err, "stop stuck")
		require.NotContains(t, err.Error(), "stop first")
		require.NotContains(t, err.Error(), "stop last")
		require.Equal(t, []int{1, 1}, []int{first.stopped, last.stopped})
	})
}
