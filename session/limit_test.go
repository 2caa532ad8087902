package session_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/session"
)

// hanging is a guest that restarts never, or not while the change is there.
type hanging struct {
	session.Environment
	l *leaseless
	// after says that it hangs after the change too.
	after bool
}

func (h hanging) Restart(ctx context.Context) error {
	h.l.history = append(h.l.history, "restart")
	if !h.l.accepts && !h.after {
		return nil
	}
	<-ctx.Done()
	return context.Cause(ctx)
}

// TestAChangeDoesNotOutlastItsTime: a guest that hangs while it is restarted does not
// keep the runner changed.
func TestAChangeDoesNotOutlastItsTime(t *testing.T) {
	t.Parallel()
	for name, limit := range map[string]func(*session.Session){
		"of the change": func(s *session.Session) { s.ChangeTimeout = 50 * time.Millisecond },
		"of the start":  func(s *session.Session) { s.StartTimeout = 50 * time.Millisecond },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, after := range []bool{false, true} {
				l := &leaseless{}
				s := l.session(t, nil)
				inside := s.Lanes[0][1].(guest)
				s.Lanes[0][1] = hanging{inside.Environment, l, after}
				s.StartTimeout = 500 * time.Millisecond
				limit(s)
				r, err := s.Run(t.Context(), model.Plan{Intervene: true}, "test")
				require.NoError(t, err)
				require.Equal(t, []string{"+dhcp-accept", "restart", "-dhcp-accept", "restart"}, l.history)
				require.Equal(t, model.Supported, r.Diagnosis.Confidence, r.Diagnosis.Summary)
				require.Contains(t, r.Notes[len(r.Notes)-1], "was not completed")
				require.Contains(t, r.Notes[len(r.Notes)-1], "too long")
			}
		})
	}
}

// TestAChangeThatIsProbedTooLongIsTakenBack, though the suite itself has time left.
func TestAChangeThatIsProbedTooLongIsTakenBack(t *testing.T) {
	t.Parallel()
	b := &broken{}
	s := b.session(t)
	s.ProbeTimeout, s.ChangeTimeout = time.Minute, 50*time.Millisecond
	guest := s.Lanes[0][1].(*place)
	exec := guest.exec
	guest.exec = func(ctx context.Context, c session.Command) (int, error) {
		if b.has("docker-user-accept") {
			<-ctx.Done()
			return -1, context.Cause(ctx)
		}
		return exec(ctx, c)
	}
	r, err := s.Run(t.Context(), model.Plan{Intervene: true}, "test")
	require.NoError(t, err)
	require.Equal(t, []string{"+docker-user-accept", "-docker-user-accept"}, b.history)
	require.Equal(t, "docker-forward-drop", r.Diagnosis.Cause, r.Diagnosis.Summary)
	require.Equal(t, model.Supported, r.Diagnosis.Confidence)
	require.Contains(t, r.Notes[len(r.Notes)-1], "the test took too long: the runner had been changed for 50ms")
}
