package session

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nestlab/nestlab/diagnose"
	"github.com/nestlab/nestlab/model"
)

// undo bounds the taking back of one change.
const undo = time.Minute

// test puts one hypothesis to the test: change, probe, change back, probe.
func (s *Session) test(ctx context.Context, h diagnose.Hypothesis) (model.Finding, error) {
	if h.Intervention == nil || s.Intervene == nil || !h.Stands() {
		return diagnose.Judge(h, s.run), nil
	}
	change := h.Intervention
	if c, ok := s.Intervene.(Chooser); ok {
		if err := c.Can(change.Remedy); err != nil {
			s.note(fmt.Errorf("the test of %s was not made: %w", change.Cause, err))
			return diagnose.Judge(h, s.run), nil
		}
	}
	s.say("testing %s by %s", change.Cause, change.Remedy.Name)
	if err := s.append(model.Entry{Intervention: &change.Intervention}); err != nil {
		return model.Finding{}, err
	}
	fatal, err := s.try(ctx, change)
	if fatal != nil {
		return model.Finding{}, errors.Join(err, fatal)
	}
	if ctx.Err() != nil {
		return model.Finding{}, err
	}
	if err != nil {
		s.note(fmt.Errorf("the test of %s was not completed: %w", change.Cause, err))
	}
	return diagnose.Judge(h, s.run), nil
}

// try makes the change on top of those that it needs, probes, takes it back and
// probes again. Everything is taken back on every way out, an interrupt
// included; a change that stays is fatal.
func (s *Session) try(ctx context.Context, change *diagnose.Intervention) (fatal, err error) {
	for _, r := range change.Under {
		if err := s.Intervene.Apply(ctx, r); err != nil {
			return nil, err
		}
		defer func() { fatal = errors.Join(fatal, s.revert(ctx, r)) }()
	}
	if err := s.Intervene.Apply(ctx, change.Remedy); err != nil {
		return nil, err
	}
	s.proxy = change.Proxy
	if err = s.renew(ctx, change, change.Places); err == nil {
		err = s.probeAll(ctx, change.Intervened, change.Places)
	}
	s.proxy = ""
	if fatal := s.revert(ctx, change.Remedy); fatal != nil {
		return fatal, err
	}
	// Also after an error: what was started anew with the change is to be as found.
	if err = errors.Join(err, s.renew(ctx, change, nil)); err != nil {
		return nil, err
	}
	return nil, s.probeAll(ctx, change.Reverted, change.Places)
}

func (s *Session) revert(ctx context.Context, r model.Remedy) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undo)
	defer cancel()
	if err := s.Intervene.Revert(ctx, r); err != nil {
		return fmt.Errorf("take %s back: %w", r.Name, err)
	}
	return nil
}
