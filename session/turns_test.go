package session_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/session"
)

// log is what machines did, in its order.
type log struct {
	mu    sync.Mutex
	lines []string
}

func (l *log) add(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, line)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.lines, " ")
}

// machine is a place that takes a second to start, and can be halted.
type machine struct {
	*place
	log            *log
	whole          bool // it has no processors of its own
	pause, resumed error
}

func (m machine) did(what string) { m.log.add(m.name + ":" + what) }

func (m machine) Start(context.Context, session.Took) error {
	m.did("start")
	time.Sleep(time.Second)
	m.did("up")
	return nil
}

func (m machine) Exec(_ context.Context, c session.Command) (int, error) {
	m.did("probe")
	_, err := io.Copy(io.Discard, c.Stdin)
	return 0, err
}

func (m machine) Halts() bool                  { return !m.whole }
func (m machine) Pause(context.Context) error  { m.did("pause"); return m.pause }
func (m machine) Resume(context.Context) error { m.did("resume"); return m.resumed }

func runMachines(t *testing.T, turns bool, ms ...machine) model.Run {
	t.Helper()
	s := &session.Session{Turns: turns, ProbeTimeout: time.Minute, Append: func(model.Entry) error { return nil }, Progress: io.Discard}
	for _, m := range ms {
		s.Lanes = append(s.Lanes, []session.Environment{m})
	}
	run, err := s.Run(t.Context(), model.Plan{}, "dev")
	require.NoError(t, err)
	return run
}

// Started side by side and probed one after the other, no two run at the same time.
func TestMachinesTakeTurns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &log{}
		runMachines(t, true, machine{place: &place{name: "a"}, log: l}, machine{place: &place{name: "b"}, log: l})
		both := "a:start a:up a:pause b:start b:up b:pause "
		if strings.HasPrefix(l.String(), "b") {
			both = "b:start b:up b:pause a:start a:up a:pause "
		}
		require.Equal(t, both+"a:resume a:probe a:pause b:resume b:probe b:pause", l.String())
	})
}

func TestWithoutTurnsNobodyWaits(t *testing.T) {
	t.Parallel()
	for name, turns := range map[string]bool{"not asked for": false, "no processors of their own": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l, begun := &log{}, time.Now()
				runMachines(t, turns,
					machine{place: &place{name: "a"}, log: l, whole: turns}, machine{place: &place{name: "b"}, log: l, whole: turns})
				require.Equal(t, time.Second, time.Since(begun))
				require.NotContains(t, l.String(), "pause")
			})
		})
	}
}

// One that cannot be halted is a note, and one that does not go on is lost: the other
// is probed all the same.
func TestTurnThatFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &log{}
		run := runMachines(t, true,
			machine{place: &place{name: "a"}, log: l, pause: errors.New("no halt")},
			machine{place: &place{name: "b"}, log: l, resumed: errors.New("no going on")})
		require.Equal(t, []string{
			"halt a while others are at work: no halt", "halt a while others are at work: no halt",
		}, run.Notes)
		require.Contains(t, l.String(), "a:probe")
		require.NotContains(t, l.String(), "b:probe")
		last := run.Results[len(run.Results)-1]
		require.Equal(t, model.Lost, last.Reason)
		require.Equal(t, "b", last.Place.Environment)
		require.Contains(t, last.Detail.Message, "have b go on: no going on")
	})
}

// around is one that says nothing of turns itself.
type around struct{ session.Environment }

func (a around) Unwrap() session.Environment { return a.Environment }

func TestTurnsThroughWrappers(t *testing.T) {
	t.Parallel()
	l := &log{}
	s := &session.Session{
		Turns: true, ProbeTimeout: time.Minute, Append: func(model.Entry) error { return nil }, Progress: io.Discard,
		Lanes: [][]session.Environment{{around{around{machine{place: &place{name: "a"}, log: l}}}}},
	}
	_, err := s.Run(t.Context(), model.Plan{}, "dev")
	require.NoError(t, err)
	require.Equal(t, "a:start a:up a:pause a:resume a:probe a:pause", l.String())
}
