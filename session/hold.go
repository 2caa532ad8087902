package session

import (
	"context"
	"fmt"
	"time"
)

// Holder is an Intervener that keeps everybody else from changing the runner.
type Holder interface {
	// Hold waits at most for wait, and tells once for whom. The runner is kept until release
	// is called, or this process ends.
	Hold(ctx context.Context, wait time.Duration, waiting func(by string)) (release func() error, err error)
}

// hold keeps the runner for a run with interventions: the change of another would be
// taken for the effect of one's own. It does nothing where the run has it already.
func (s *Session) hold(ctx context.Context) (release func() error, err error) {
	if s.pulse == nil {
		s.pulse = NewPulse(s.Progress)
	}
	h, ok := s.Intervene.(Holder)
	if !ok || s.holds {
		return func() error { return nil }, nil
	}
	defer s.pulse.Beat()()
	waited := func() {}
	defer func() { waited() }()
	var waiting func(by string)
	if s.LockTimeout > 0 {
		waiting = func(by string) {
			s.say("waiting up to %s: %s", s.LockTimeout, by)
			waited = s.pulse.Waiting("waiting up to %s: %s", s.LockTimeout, by)
		}
	}
	let, err := h.Hold(ctx, s.LockTimeout, waiting)
	if err != nil {
		return nil, fmt.Errorf("nothing was observed: %w", err)
	}
	s.holds = true
	return func() error {
		s.holds = false
		return let()
	}, nil
}
