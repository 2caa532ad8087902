package session_test

import (
	"context"
	"encoding/json"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/model/modeltest"
	"github.com/nestlab/nestlab/session"
)

// behindDHCP is a runner whose firewall keeps guests from getting an address, and
// that drops, by Docker's policy, what those who have one send.
type behindDHCP struct {
	applied []string
	leased  bool
}

func (b *behindDHCP) has(name string) bool { return slices.Contains(b.applied, name) }

func (b *behindDHCP) Apply(_ context.Context, r model.Remedy) error {
	b.applied = append(b.applied, r.Name)
	return nil
}

func (b *behindDHCP) Revert(_ context.Context, r model.Remedy) error {
	b.applied = slices.DeleteFunc(b.applied, func(n string) bool { return n == r.Name })
	return nil
}

// asking is a guest that asks for its address when it starts.
type asking struct {
	session.Environment
	b *behindDHCP
}

func (a asking) Restart(context.Context) error {
	a.b.leased = a.b.has("dhcp-accept")
	return nil
}

// What a guest is that was restarted is read again: it has an address and a route
// now, and a second cause behind them is found.
func TestACauseBehindTheMissingAddress(t *testing.T) {
	t.Parallel()
	facts := modeltest.DockerForwardDrop().Facts
	at := slices.IndexFunc(facts, func(f model.Facts) bool { return f.Place == modeltest.LXDContainer })
	with, without := facts[at], facts[at]
	without.Interfaces, without.Routes = without.Interfaces[:1], nil
	b := &behindDHCP{}
	runner := (&broken{applied: []string{"docker-user-accept", "nat-on"}}).environment(t, modeltest.Runner, facts[0])
	guest := &place{name: model.EnvLXDContainer, exec: func(_ context.Context, c session.Command) (int, error) {
		out, own := json.NewEncoder(c.Stdout), without
		if b.leased {
			own = with
		}
		if !slices.Contains(c.Args, "--no-facts") {
			require.NoError(t, out.Encode(model.Entry{Facts: &own}))
		}
		for _, r := range modeltest.Probes(modeltest.LXDContainer, c.Args[slices.Index(c.Args, "--round")+1], !b.has("docker-user-accept")) {
			if !b.leased && r.Outcome.Bad() || !b.leased && r.Outcome == model.Pass {
				r.Outcome, r.Reason = model.Fail, model.Unreachable
			}
			require.NoError(t, out.Encode(model.Entry{Result: &r}))
		}
		return 0, nil
	}}
	s := &session.Session{
		Lanes:        [][]session.Environment{{runner, asking{guest, b}}},
		ProbeTimeout: 5 * time.Second, Append: (&journal{}).append, Progress: io.Discard, Host: session.Host{Intervene: b},
	}
	r, err := s.Run(t.Context(), model.Plan{Intervene: true}, "test")
	require.NoError(t, err)
	require.Empty(t, r.Notes)
	require.Equal(t, "dhcp-blocked", r.Diagnosis.Cause, r.Diagnosis.Summary)
	require.Len(t, r.Diagnosis.Further, 1, r.Diagnosis.Summary)
	require.Equal(t, "docker-forward-drop", r.Diagnosis.Further[0].Cause)
	require.Equal(t, model.Proven, r.Diagnosis.Further[0].Confidence)
	require.Empty(t, b.applied)
}
