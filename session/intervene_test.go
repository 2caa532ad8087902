package session_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/model/modeltest"
	"github.com/nestlab/nestlab/session"
)

// broken is a runner on which a guest's packets fall to Docker's policy, and
// behind that are not translated.
type broken struct {
	applied []string
	history []string
	fallen  uint64
	// asked are the ends that the captures were asked for.
	asked [][2][]netip.Addr
	// stuck is a remedy that cannot be reverted.
	stuck string
}

func (b *broken) Apply(_ context.Context, r model.Remedy) error {
	b.applied, b.history = append(b.applied, r.Name), append(b.history, "+"+r.Name)
	return nil
}

func (b *broken) Revert(_ context.Context, r model.Remedy) error {
	if r.Name == b.stuck {
		return errors.New("it is stuck")
	}
	b.applied = slices.DeleteFunc(b.applied, func(n string) bool { return n == r.Name })
	b.history = append(b.history, "-"+r.Name)
	return nil
}

func (b *broken) has(remedy string) bool { return slices.Contains(b.applied, remedy) }

func (b *broken) observe(context.Context) ([]model.ForwardChain, []string) {
	w := modeltest.Watch(modeltest.LXDContainer, "", "DROP", 0, b.fallen)
	return w.After, nil
}

func (b *broken) capture(context.Context) (session.Stop, error) {
	return func(place, targets []netip.Addr) ([]model.Hop, error) {
		b.asked = append(b.asked, [2][]netip.Addr{place, targets})
		up := model.Hop{Interface: "eth0", Role: model.RoleUplink}
		down := model.Hop{Interface: "lxdbr0", Role: model.RoleBridge, Place: model.Flow{Out: 9, SYN: 9}}
		switch {
		case b.has("docker-user-accept") && b.has("nat-on"):
			up.Runner = model.Flow{Out: 9, SYN: 9, Back: 9, SYNACK: 9}
		case b.has("docker-user-accept"):
			up.Place = model.Flow{Out: 9, SYN: 9}
		}
		return []model.Hop{up, down}, nil
	}, errors.New("tap7 is not watched")
}

// environment prints what a place would see of it.
func (b *broken) environment(t *testing.T, p model.Place, facts model.Facts) *place {
	return &place{name: p.Environment, exec: func(_ context.Context, c session.Command) (int, error) {
		round := c.Args[slices.Index(c.Args, "--round")+1]
		dropped := p == modeltest.LXDContainer && !(b.has("docker-user-accept") && b.has("nat-on"))
		if dropped && !b.has("docker-user-accept") {
			b.fallen += 9
		}
		var entries []model.Entry
		if !slices.Contains(c.Args, "--no-facts") {
			entries = append(entries, model.Entry{Facts: &facts})
		}
		for _, r := range modeltest.Probes(p, round, dropped) {
			entries = append(entries, model.Entry{Result: &r})
		}
		for _, e := range entries {
			text, err := json.Marshal(e)
			require.NoError(t, err)
			if _, err := c.Stdout.Write(append(text, '\n')); err != nil {
				return -1, err
			}
		}
		return 0, nil
	}}
}

func (b *broken) session(t *testing.T) *session.Session {
	facts := modeltest.DockerForwardDrop().Facts
	guest := slices.IndexFunc(facts, func(f model.Facts) bool { return f.Place == modeltest.LXDContainer })
	return &session.Session{
		Lanes: [][]session.Environment{{
			b.environment(t, modeltest.Runner, facts[0]), b.environment(t, modeltest.LXDContainer, facts[guest]),
		}},
		ProbeTimeout: 5 * time.Second, Append: (&journal{}).append, Progress: io.Discard,
		Host: session.Host{Observe: b.observe, Capture: b.capture, Intervene: b},
	}
}

// TestACauseIsTestedBehindAnother: the second with the first one's remedy in
// place, and everything is reverted.
func TestACauseIsTestedBehindAnother(t *testing.T) {
	t.Parallel()
	b := &broken{}
	r, err := b.session(t).Run(t.Context(), model.Plan{Intervene: true}, "test")
	require.NoError(t, err)
	d := r.Diagnosis
	require.Equal(t, "docker-forward-drop", d.Cause, d.Summary)
	require.Len(t, d.Further, 1)
	require.Equal(t, "nat-off", d.Further[0].Cause)
	require.Equal(t, model.Proven, d.Further[0].Confidence, d.Further[0].Proof.Text)
	require.Equal(t, []string{
		"+docker-user-accept", "-docker-user-accept", "+docker-user-accept", "+nat-on", "-nat-on", "-docker-user-accept",
	}, b.history)
	require.Empty(t, b.applied)
	require.Equal(t, model.RoundIntervened, r.Interventions[1].Base)
	require.Len(t, slices.DeleteFunc(slices.Clone(r.Notes), func(n string) bool {
		return n != "the runner's interfaces are not watched in full: tap7 is not watched"
	}), 1, "said once")
}

// TestTheCaptureIsAskedForThePlace: its own addresses, and those that it tried.
func TestTheCaptureIsAskedForThePlace(t *testing.T) {
	t.Parallel()
	b := &broken{}
	r, err := b.session(t).Run(t.Context(), model.Plan{}, "test")
	require.NoError(t, err)
	require.Equal(t, [2][]netip.Addr{
		{netip.MustParseAddr("10.77.0.103")}, {netip.MustParseAddr("198.51.100.10")},
	}, b.asked[1])
	require.Equal(t, uint64(9), r.Watches[1].Hops[1].Place.SYN)
}

func TestAChangeThatStaysIsFatal(t *testing.T) {
	t.Parallel()
	for _, stuck := range []string{"docker-user-accept", "nat-on"} {
		b := &broken{stuck: stuck}
		_, err := b.session(t).Run(t.Context(), model.Plan{Intervene: true}, "test")
		require.ErrorContains(t, err, "take "+stuck+" back: it is stuck")
	}
}

// TestFindingsCarryTheCommandsOfThisHost: also where nothing may be changed.
func TestFindingsCarryTheCommandsOfThisHost(t *testing.T) {
	t.Parallel()
	b := &broken{}
	s := b.session(t)
	s.Intervene = nil
	var open error
	s.Commands = func(_ context.Context, r model.Remedy) (commands, undo []string, err error) {
		return []string{"here: " + r.Name}, nil, open
	}
	r, err := s.Run(t.Context(), model.Plan{}, "test")
	require.NoError(t, err)
	require.Equal(t, []string{"here: docker-user-accept"}, r.Diagnosis.Remedy.Commands)
	require.Empty(t, b.history)

	s, open = b.session(t), errors.New("no rule was found")
	s.Intervene, s.Commands = nil, func(context.Context, model.Remedy) (commands, undo []string, err error) { return nil, nil, open }
	r, err = s.Run(t.Context(), model.Plan{}, "test")
	require.NoError(t, err)
	require.Contains(t, r.Diagnosis.Remedy.Commands[0], "iptables -I DOCKER-USER")
	require.Contains(t, r.Notes, "the commands of docker-user-accept do not name all that is on this host: no rule was found")
}

// TestCommandsAreForWhatTheTestsLeft: what a later test takes out and puts back is not
// the same rule any more.
func TestCommandsAreForWhatTheTestsLeft(t *testing.T) {
	t.Parallel()
	b := &broken{}
	s := b.session(t)
	s.Commands = func(context.Context, model.Remedy) (commands, undo []string, err error) {
		return []string{fmt.Sprintf("after %d changes", len(b.history))}, nil, nil
	}
	r, err := s.Run(t.Context(), model.Plan{Intervene: true}, "test")
	require.NoError(t, err)
	require.Len(t, r.Diagnosis.Further, 1)
	want := []string{fmt.Sprintf("after %d changes", len(b.history))}
	require.Equal(t, want, r.Diagnosis.Remedy.Commands)
	require.Equal(t, want, r.Diagnosis.Further[0].Remedy.Commands)
}
