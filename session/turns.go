package session

import (
	"context"
	"fmt"
	"time"

	"github.com/nestlab/nestlab/model"
)

// Pauser is an environment that can be halted while others are at work, and goes on
// where it was.
type Pauser interface {
	// Pausable reports whether it has processors of its own to halt.
	Pausable() bool
	// Pause halts it, and its clock with it. One that is halted, does not run yet or not
	// any more stays as it is.
	Pause(ctx context.Context) error
	// Resume has it go on. One that is not halted stays as it is.
	Resume(ctx context.Context) error
}

// pauseWithin bounds one halt, and one going on.
const pauseWithin = 2 * time.Minute

// halted is how long a place has stood still since it started, and since when it does.
type halted struct {
	total time.Duration
	since time.Time // zero while it runs
}

// pauser is the environment if it takes turns, otherwise nil.
func (s *Session) pauser(env Environment) Pauser {
	if p, ok := as[Pauser](env); ok && s.Turns && p.Pausable() {
		return p
	}
	return nil
}

// turn waits until nothing else starts, and returns what ends the turn. Also what cannot
// be halted takes its turn there: LXD gives a machine's agent and monitor seconds, which
// is not enough for one that boots beside other things.
func (s *Session) turn(ctx context.Context, env Environment) (func(), error) {
	if !s.Turns {
		return func() {}, nil
	}
	defer s.pulse.Waiting("waiting for the turn of %s", env.Place())()
	select {
	case s.working <- struct{}{}:
		return func() { <-s.working }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for the turn of %s: %w", env.Place(), context.Cause(ctx))
	}
}

// pause halts what takes turns, whether or not it came up. One that cannot be halted goes
// on beside the others: that is a note.
func (s *Session) pause(ctx context.Context, env Environment) {
	p := s.pauser(env)
	if p == nil {
		return
	}
	defer s.pulse.Waiting("halting %s", env.Place())()
	within, cancel := context.WithTimeout(ctx, pauseWithin)
	defer cancel()
	err := p.Pause(within)
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		s.noteOnce(fmt.Errorf("halt %s while others are at work: %w", env.Place(), err))
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if h := s.halts[env.Place()]; h.since.IsZero() {
		s.halts[env.Place()] = halted{total: h.total, since: time.Now()}
	}
}

// resume has one that was halted go on.
func (s *Session) resume(ctx context.Context, env Environment) error {
	p := s.pauser(env)
	if p == nil {
		return nil
	}
	defer s.pulse.Waiting("resuming %s", env.Place())()
	ctx, cancel := context.WithTimeout(ctx, pauseWithin)
	defer cancel()
	if err := p.Resume(ctx); err != nil {
		return fmt.Errorf("have %s go on: %w", env.Place(), err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if h := s.halts[env.Place()]; !h.since.IsZero() {
		s.halts[env.Place()] = halted{total: h.total + time.Since(h.since)}
	}
	return nil
}

// fresh says that a place was restarted: its clock is right again.
func (s *Session) fresh(place model.Place) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.halts, place)
}

// punctual moves the times of an entry from a place by as much as its clock has stood
// still.
func (s *Session) punctual(e model.Entry, place model.Place) {
	s.mu.Lock()
	behind := s.halts[place].total
	s.mu.Unlock()
	for _, at := range times(e) {
		*at = at.Add(behind)
	}
}

// times are those that an entry has.
func times(e model.Entry) (all []*time.Time) {
	if e.Result != nil {
		all = append(all, &e.Result.Start)
	}
	if e.Facts != nil {
		all = append(all, &e.Facts.Taken)
	}
	if e.Inspection != nil {
		all = append(all, &e.Inspection.Taken)
	}
	if e.Timing != nil {
		all = append(all, &e.Timing.Start)
	}
	return all
}
