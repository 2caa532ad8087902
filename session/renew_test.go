package session_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/model/modeltest"
	"github.com/nestlab/nestlab/session"
)

// leaseless is a runner whose firewall keeps guests from getting an address; they
// ask when they start.
type leaseless struct {
	accepts, leased bool
	history         []string
	refuses         error
}

func (l *leaseless) Apply(_ context.Context, r model.Remedy) error {
	l.accepts, l.history = true, append(l.history, "+"+r.Name)
	return nil
}

func (l *leaseless) Revert(_ context.Context, r model.Remedy) error {
	l.accepts, l.history = false, append(l.history, "-"+r.Name)
	return nil
}

func (l *leaseless) Can(model.Remedy) error { return l.refuses }

// guest restarts, or cannot.
type guest struct {
	session.Environment
	l    *leaseless
	fail error
}

func (g guest) Restart(context.Context) error {
	g.l.leased, g.l.history = g.l.accepts, append(g.l.history, "restart")
	return g.fail
}

func (l *leaseless) session(t *testing.T, fail error) *session.Session {
	facts := modeltest.DockerForwardDrop().Facts
	at := slices.IndexFunc(facts, func(f model.Facts) bool { return f.Place == modeltest.LXDContainer })
	none := facts[at]
	none.Interfaces, none.Routes = none.Interfaces[:1], nil
	b := &broken{applied: []string{"docker-user-accept", "nat-on"}}
	runner := b.environment(t, modeltest.Runner, facts[0])
	inside := &place{name: model.EnvLXDContainer, exec: func(_ context.Context, c session.Command) (int, error) {
		round := c.Args[slices.Index(c.Args, "--round")+1]
		out := json.NewEncoder(c.Stdout)
		if !slices.Contains(c.Args, "--no-facts") {
			require.NoError(t, out.Encode(model.Entry{Facts: &none}))
		}
		for _, r := range modeltest.Probes(modeltest.LXDContainer, round, false) {
			if !l.leased && r.Outcome == model.Pass {
				r.Outcome, r.Reason = model.Fail, model.Unreachable
			}
			require.NoError(t, out.Encode(model.Entry{Result: &r}))
		}
		return 0, nil
	}}
	return &session.Session{
		Lanes:        [][]session.Environment{{runner, guest{inside, l, fail}}},
		ProbeTimeout: 5 * time.Second, Append: (&journal{}).append, Progress: io.Discard, Host: session.Host{Intervene: l},
	}
}

// TestGuestsRestartForTheirAddresses: with the change and after it.
func TestGuestsRestartForTheirAddresses(t *testing.T) {
	t.Parallel()
	l := &leaseless{}
	r, err := l.session(t, nil).Run(t.Context(), model.Plan{Intervene: true}, "test")
	require.NoError(t, err)
	require.Equal(t, []string{"+dhcp-accept", "restart", "-dhcp-accept", "restart"}, l.history)
	require.Equal(t, "dhcp-blocked", r.Diagnosis.Cause, r.Diagnosis.Summary)
	require.Equal(t, model.Proven, r.Diagnosis.Confidence, r.Diagnosis.Summary)
}

// TestAGuestThatDoesNotRestartProvesNothing, and the change is reverted.
func TestAGuestThatDoesNotRestartProvesNothing(t *testing.T) {
	t.Parallel()
	l := &leaseless{}
	r, err := l.session(t, errors.New("it is stuck")).Run(t.Context(), model.Plan{Intervene: true}, "test")
	require.NoError(t, err)
	require.Equal(t, []string{"+dhcp-accept", "restart", "-dhcp-accept", "restart"}, l.history)
	require.Equal(t, model.Supported, r.Diagnosis.Confidence)
	require.Contains(t, r.Notes[len(r.Notes)-1], "it is stuck")
}

// TestWhatWouldNotShowIsNotTried: a daemon that is not to be restarted here.
func TestWhatWouldNotShowIsNotTried(t *testing.T) {
	t.Parallel()
	l := &leaseless{refuses: errors.New("dockerd is not nestlab's here")}
	r, err := l.session(t, nil).Run(t.Context(), model.Plan{Intervene: true}, "test")
	require.NoError(t, err)
	require.Empty(t, l.history)
	require.Equal(t, model.Supported, r.Diagnosis.Confidence)
	require.Contains(t, r.Notes[len(r.Notes)-1], "dockerd is not nestlab's here")
}
