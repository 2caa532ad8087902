package session_test

import (
	"cmp"
	"context"
	"encoding/json"
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
	boot           time.Duration
	pause, resumed error
}

func (m machine) did(what string) { m.log.add(m.name + ":" + what) }

func (m machine) Start(ctx context.Context, took session.Took) error {
	m.did("start")
	time.Sleep(cmp.Or(m.boot, time.Second))
	m.did("up")
	return m.place.Start(ctx, took)
}

func (m machine) Exec(ctx context.Context, c session.Command) (int, error) {
	m.did("probe")
	if m.exec != nil {
		return m.exec(ctx, c)
	}
	_, err := io.Copy(io.Discard, c.Stdin)
	return 0, err
}

func (m machine) Restart(context.Context) error { m.did("restart"); return nil }

func (m machine) ProbeArguments(string) []string { return []string{"--retries", "3"} }

func (m machine) Pausable() bool               { return !m.whole }
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
	synctest.Test(t, func(t *testing.T) {
		l, begun := &log{}, time.Now()
		runMachines(t, false, machine{place: &place{name: "a"}, log: l}, machine{place: &place{name: "b"}, log: l})
		require.Equal(t, time.Second, time.Since(begun))
		require.NotContains(t, l.String(), "pause")
	})
}

// What has no processors of its own starts in its turn, and is never halted.
func TestContainersTakeTurnsToStart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, begun := &log{}, time.Now()
		runMachines(t, true,
			machine{place: &place{name: "a"}, log: l, whole: true}, machine{place: &place{name: "b"}, log: l, whole: true})
		require.Equal(t, 2*time.Second, time.Since(begun))
		require.NotContains(t, l.String(), "pause")
	})
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
		require.Equal(t, []string{"halt a while others are at work: no halt"}, run.Notes)
		require.Contains(t, l.String(), "a:probe")
		require.NotContains(t, l.String(), "b:probe")
		require.True(t, strings.HasSuffix(l.String(), "b:resume b:pause"), "it may go on late: %s", l)
		last := run.Results[len(run.Results)-1]
		require.Equal(t, model.Lost, last.Reason)
		require.Equal(t, "b", last.Place.Environment)
		require.Contains(t, last.Detail.Message, "have b go on: no going on")
	})
}

// One that does not come up is halted, and one that is given up when its start ends after
// all.
func TestFailedStartIsHalted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &log{}
		refused := func(context.Context, session.Took) error { return errors.New("no") }
		late := machine{place: &place{name: "b"}, log: l, boot: session.DefaultStartTimeout + 5*time.Minute}
		runMachines(t, true, machine{place: &place{name: "a", start: refused}, log: l}, late)
		time.Sleep(10 * time.Minute)
		require.Contains(t, l.String(), "a:up a:pause")
		require.Contains(t, l.String(), "b:up b:pause")
	})
}

// An interrupt reaches one that waits for its turn.
func TestInterruptedTurn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &log{}
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		s := &session.Session{Turns: true, Append: func(model.Entry) error { return nil }, Progress: io.Discard}
		for _, name := range []string{"a", "b"} {
			s.Lanes = append(s.Lanes, []session.Environment{machine{place: &place{name: name}, log: l, boot: time.Hour}})
		}
		begun := time.Now()
		_, err := s.Run(ctx, model.Plan{}, "dev")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorContains(t, err, "wait for the turn of")
		require.Less(t, time.Since(begun), time.Minute)
		require.Equal(t, 1, strings.Count(l.String(), "start"))
		time.Sleep(time.Hour) // its start ends then
	})
}

// clock is a machine's own: it stands still with it.
type clock struct {
	machine
	behind time.Duration
	since  time.Time
}

func (c *clock) Pause(context.Context) error {
	c.since = time.Now()
	return nil
}

func (c *clock) Resume(context.Context) error {
	c.behind += time.Since(c.since)
	return nil
}

func (c *clock) Exec(_ context.Context, command session.Command) (int, error) {
	time.Sleep(time.Second)
	if _, err := io.Copy(io.Discard, command.Stdin); err != nil {
		return -1, err
	}
	own := time.Now().Add(-c.behind)
	write := json.NewEncoder(command.Stdout)
	return 0, errors.Join(
		write.Encode(model.Entry{Facts: &model.Facts{Taken: own}}),
		write.Encode(model.Entry{Inspection: &model.Inspection{Taken: own}}),
		write.Encode(model.Entry{Timing: &model.Timing{Step: "s", Start: own}}),
		write.Encode(model.Entry{Result: &model.Result{
			Round: model.RoundBaseline, Probe: model.ProbeTCP, Target: "a:80", Attempt: 1, Outcome: model.Pass, Start: own,
		}}),
	)
}

// A clock that stood still is late by as much: what it says is put right.
func TestTimesOfHalted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &log{}
		s := &session.Session{Turns: true, ProbeTimeout: time.Minute, Append: func(model.Entry) error { return nil }, Progress: io.Discard}
		for _, name := range []string{model.EnvLXDVM, model.EnvQEMUUser} {
			s.Lanes = append(s.Lanes, []session.Environment{&clock{machine: machine{place: &place{name: name}, log: l, boot: 5 * time.Minute}}})
		}
		begun := time.Now().UTC()
		run, err := s.Run(t.Context(), model.Plan{}, "dev")
		require.NoError(t, err)
		require.Len(t, run.Results, 2)
		for i, probed := range []time.Time{begun.Add(10*time.Minute + time.Second), begun.Add(10*time.Minute + 2*time.Second)} {
			require.Equal(t, probed, run.Results[i].Start, "place %d", i)
			require.Equal(t, probed, run.Facts[i].Taken)
			require.Equal(t, probed, run.Inspections[i].Taken)
			require.Equal(t, probed, run.Setups[i].Start)
		}
	})
}

// around is one that says nothing of turns itself.
type around struct{ session.Environment }

func (a around) Unwrap() session.Environment { return a.Environment }

// What a wrapped environment can do is not lost: its turns, and its arguments.
func TestThroughWrappers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &log{}
		var args []string
		inside := &place{name: "a", exec: func(_ context.Context, c session.Command) (int, error) {
			args = c.Args
			_, err := io.Copy(io.Discard, c.Stdin)
			return 0, err
		}}
		s := &session.Session{
			Turns: true, ProbeTimeout: time.Minute, Append: func(model.Entry) error { return nil }, Progress: io.Discard,
			Lanes: [][]session.Environment{{around{around{machine{place: inside, log: l}}}}},
		}
		_, err := s.Run(t.Context(), model.Plan{}, "dev")
		require.NoError(t, err)
		require.Equal(t, "a:start a:up a:pause a:resume a:probe a:pause", l.String())
		require.Equal(t, []string{"--retries", "3"}, args[len(args)-2:])
	})
}
