package session

import (
	"context"
	"fmt"
	"time"
)

// Pauser is an environment that can be halted while others are at work, and goes on
// where it was.
type Pauser interface {
	// Halts reports whether it has processors of its own to halt.
	Halts() bool
	// Pause halts it; one that does not run stays as it is.
	Pause(ctx context.Context) error
	Resume(ctx context.Context) error
}

// pauseWithin bounds one halt, and one going on.
const pauseWithin = 2 * time.Minute

// pauser is the environment if it takes turns, otherwise nil.
func (s *Session) pauser(env Environment) Pauser {
	if p, ok := as[Pauser](env); ok && s.Turns && p.Halts() {
		return p
	}
	return nil
}

// turn waits until no other that takes turns is at work, and returns what ends the turn.
func (s *Session) turn(ctx context.Context, env Environment) (func(), error) {
	if s.pauser(env) == nil {
		return func() {}, nil
	}
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
	if err := p.Pause(within); err != nil && ctx.Err() == nil {
		s.note(fmt.Errorf("halt %s while others are at work: %w", env.Place(), err))
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
	return nil
}
