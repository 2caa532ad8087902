package session

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nestlab/nestlab/model"
)

// DefaultStartTimeout bounds the start of an environment: a stock virtual machine
// under emulation takes minutes, and a wait for longer is for nothing.
const DefaultStartTimeout = 15 * time.Minute

// startGrace is what an environment gets to notice that its time is over.
const startGrace = 30 * time.Second

// errStartTimeout is why a start ended that took too long.
var errStartTimeout = errors.New("the start took too long")

// start brings one environment up. That it does not come up is a result.
func (s *Session) start(ctx context.Context, env Environment) error {
	over, err := s.turn(ctx, env)
	if err != nil {
		return err
	}
	defer over()
	place, begin := env.Place(), time.Now()
	s.say("%s: starting", place)
	done := s.pulse.Waiting("starting %s", place)
	err = s.bounded(ctx, env)
	done()
	if ctx.Err() != nil {
		return fmt.Errorf("start %s: %w", place, context.Cause(ctx))
	}
	if no := (Inapplicable{}); errors.As(err, &no) {
		s.say("%s: skipped: %s", place, no.Why)
		skipped := lost(place, model.RoundBaseline, model.NotApplicable, begin, err)
		skipped.Outcome = model.Skip
		return s.append(model.Entry{Result: skipped})
	}
	if err != nil {
		s.say("%s: did not start: %v", place, err)
		if err := s.failedDaemon(place, err); err != nil {
			return err
		}
		reason := model.NotStarted
		if errors.Is(err, errStartTimeout) {
			reason = model.DeadlineExceeded
		}
		return s.append(model.Entry{Result: lost(place, model.RoundBaseline, reason, begin, err)})
	}
	s.mu.Lock()
	s.alive[place] = true
	s.mu.Unlock()
	return nil
}

// DaemonError is a daemon that did not start or died.
type DaemonError struct {
	// Daemon is how, without its place, which is the environment's.
	Daemon model.Daemon
	Err    error
}

func (e *DaemonError) Error() string { return e.Err.Error() }

func (e *DaemonError) Unwrap() error { return e.Err }

// failedDaemon journals how a daemon failed, where that is what an error is about.
func (s *Session) failedDaemon(place model.Place, err error) error {
	failed := (*DaemonError)(nil)
	if !errors.As(err, &failed) {
		return nil
	}
	d := failed.Daemon
	d.Place = place
	return s.append(model.Entry{Daemon: &d})
}

// startLimit bounds one start.
func (s *Session) startLimit() time.Duration { return cmp.Or(s.StartTimeout, DefaultStartTimeout) }

// bounded starts an environment within the limit.
func (s *Session) bounded(ctx context.Context, env Environment) error {
	return within(ctx, s.startLimit(), func(limited context.Context) error {
		err := env.Start(limited, s.took(env.Place()))
		s.pause(ctx, env) // one that was given up too
		return err
	})
}

// within has something started within the limit. What does not even notice that its time
// is over is given up: what it does later concerns nobody.
func within(ctx context.Context, limit time.Duration, start func(context.Context) error) error {
	// What was started in time lives on with this context: only the limit ends it.
	ctx, cancel := context.WithCancelCause(ctx)
	over := time.AfterFunc(limit, func() { cancel(fmt.Errorf("%w: it was given up after %s", errStartTimeout, limit)) })
	defer over.Stop()
	done := make(chan error, 1)
	go func() { done <- start(ctx) }()
	var err error
	select {
	case err = <-done:
	case <-ctx.Done():
		select {
		case err = <-done:
		case <-time.After(startGrace):
			return fmt.Errorf("%w, and it did not notice", context.Cause(ctx))
		}
	}
	if err != nil && errors.Is(context.Cause(ctx), errStartTimeout) && !errors.Is(err, errStartTimeout) {
		return fmt.Errorf("%w: %w", context.Cause(ctx), err)
	}
	return err
}

// took journals how long a step of a place's set-up took.
func (s *Session) took(place model.Place) Took {
	return func(step string, start time.Time, d time.Duration, note string) {
		t := model.Timing{Place: place, Step: step, Start: start.UTC(), DurationMS: d.Milliseconds(), Note: model.Clip(note, model.MaxMessage)}
		s.say("%s: %s took %.1f s", place, step, d.Seconds())
		s.note(s.append(model.Entry{Timing: &t}))
	}
}
