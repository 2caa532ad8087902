package session

import (
	"context"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/diagnose"
	"github.com/nestlab/nestlab/model"
)

// daemons is a dockerd that ends its container when a remedy in its
// configuration restarts it, and a bridge whose guest takes notice when it starts.
type daemons struct {
	history []string
	applied map[string]bool
	stuck   bool
}

func (d *daemons) change(sign, name string) {
	d.applied[name] = sign == "+"
	d.history = append(d.history, sign+name)
}

func (d *daemons) Apply(_ context.Context, r model.Remedy) error {
	d.change("+", r.Name)
	return nil
}

func (d *daemons) Revert(_ context.Context, r model.Remedy) error {
	d.change("-", r.Name)
	return nil
}

// env is a container or a guest.
type env struct {
	place model.Place
	d     *daemons
}

func (e env) Place() model.Place                             { return e.place }
func (e env) Suites() []string                               { return []string{"network"} }
func (e env) Start(context.Context, Took) error              { return nil }
func (e env) Stop(context.Context) error                     { return nil }
func (e env) Exec(_ context.Context, c Command) (int, error) { return 0, nil }
func (e env) Restart(context.Context) error {
	e.d.history = append(e.d.history, "restart "+e.place.Environment)
	if e.d.stuck && len(e.d.applied) > 0 && !e.d.applied["docker-data-root"] && !e.d.applied["dhcp-accept"] {
		return io.ErrUnexpectedEOF
	}
	return nil
}

func layered(d *daemons, p model.Place) *Session {
	d.applied = map[string]bool{}
	return &Session{
		Lanes: [][]Environment{{env{p, d}}}, alive: map[model.Place]bool{p: true}, restartedPlaces: map[model.Place]bool{}, ProbeTimeout: 5 * time.Second,
		Append: func(model.Entry) error { return nil }, pulse: NewPulse(io.Discard), Host: Host{Intervene: d},
	}
}

// TestWhatLayUnderAChangeIsTakenBackToWhatWasFound: what noticed the remedy below
// restarts without it too.
func TestWhatLayUnderAChangeIsTakenBackToWhatWasFound(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ under, environment string }{
		{"docker-data-root", model.EnvContainer}, {"dhcp-accept", model.EnvLXDContainer},
	} {
		d, p := &daemons{}, model.Place{Environment: test.environment}
		s := layered(d, p)
		fatal, err := s.try(t.Context(), &diagnose.Intervention{
			Intervention: model.Intervention{
				Remedy: model.Remedy{Name: "nat-on"}, Under: []model.Remedy{{Name: test.under}}, Intervened: "a", Reverted: "b",
			}, Places: []model.Place{p},
		})
		require.NoError(t, fatal)
		require.NoError(t, err)
		again := "restart " + test.environment
		require.Equal(t, []string{"+" + test.under, "+nat-on", again, "-nat-on", again, "-" + test.under, again}, d.history)
		require.True(t, s.alive[p])
	}
}

// TestAPlaceThatDoesNotComeBackFromALayerIsLost: later tests do not take it for
// what was found.
func TestAPlaceThatDoesNotComeBackFromALayerIsLost(t *testing.T) {
	t.Parallel()
	d, p := &daemons{stuck: true}, model.Place{Environment: model.EnvContainer}
	s := layered(d, p)
	fatal, err := s.try(t.Context(), &diagnose.Intervention{
		Intervention: model.Intervention{
			Remedy: model.Remedy{Name: "nat-on"}, Under: []model.Remedy{{Name: "docker-data-root"}}, Intervened: "a", Reverted: "b",
		}, Places: []model.Place{p},
	})
	require.NoError(t, fatal)
	require.NoError(t, err)
	require.False(t, s.alive[p])
	require.Contains(t, s.run.Notes[len(s.run.Notes)-1], "it is not probed any more")
}
