package session_test

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/remedy"
	"github.com/nestlab/nestlab/session"
)

var (
	_ session.Recoverer = remedy.Host{}
	_ session.Holder    = remedy.Host{}
)

// leftovers is an Intervener of which an earlier run left something applied.
type leftovers struct {
	left, kept []model.Remedy
	err        error
}

func (l *leftovers) Apply(context.Context, model.Remedy) error  { return nil }
func (l *leftovers) Revert(context.Context, model.Remedy) error { return nil }

func (l *leftovers) Recover(context.Context) (taken, kept []model.Remedy, err error) {
	taken, l.left = l.left, nil
	return taken, l.kept, l.err
}

func TestWhatAKilledRunLeftIsTakenBackBeforeAnythingIsObserved(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		left  *leftovers
		notes []string
	}{
		"nothing":    {&leftovers{}, nil},
		"something":  {&leftovers{left: []model.Remedy{{Name: "docker-user-accept"}}}, []string{"an earlier run was killed while it had changed this runner; reverted before anything was observed: docker-user-accept"}},
		"a person's": {&leftovers{kept: []model.Remedy{{Name: "docker-user-accept"}}}, []string{"this runner is observed with what `nestlab remedy apply` has changed: docker-user-accept; `nestlab remedy status` shows it"}},
		"it stays":   {&leftovers{err: errors.New("no iptables")}, []string{"revert what an earlier run left; `nestlab remedy status` shows it: no iptables"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := &place{name: model.EnvRunner, exec: func(ctx context.Context, c session.Command) (int, error) {
				if len(test.left.left) > 0 {
					return -1, errors.New("observed before it was reverted")
				}
				return prints(0, line(t, "a:1"))(ctx, c)
			}}
			s := &session.Session{
				Lanes: [][]session.Environment{{p}}, Targets: []byte("targets"), Platform: "unknown",
				ProbeTimeout: 2 * time.Second, Append: (&journal{}).append, Progress: io.Discard, Host: session.Host{Intervene: test.left},
			}
			r, err := s.Run(t.Context(), model.Plan{}, "test")
			require.NoError(t, err)
			require.Equal(t, test.notes, r.Notes)
			require.Equal(t, 1, count(r, model.EnvRunner))
		})
	}
}
