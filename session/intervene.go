package session

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nestlab/nestlab/diagnose"
	"github.com/nestlab/nestlab/model"
)

// undo bounds the reverting of one change.
const undo = time.Minute

// DefaultChangeTimeout bounds the time for which the runner stays changed: the suite in
// two guests, each of which is restarted before.
const DefaultChangeTimeout = 15 * time.Minute

// errChangeTimeout is why a test ended that took too long.
var errChangeTimeout = errors.New("the test took too long")

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

// try makes the change on top of those that it needs, probes, reverts it and
// probes again. Everything is reverted on every way out, an interrupt and the end
// of the time that the runner may stay changed included; a change that stays is fatal.
func (s *Session) try(ctx context.Context, change *diagnose.Intervention) (fatal, err error) {
	limit := cmp.Or(s.ChangeTimeout, DefaultChangeTimeout)
	until := time.Now().Add(limit)
	changed, cancel := context.WithDeadlineCause(ctx, until, fmt.Errorf("%w: the runner had been changed for %s", errChangeTimeout, limit))
	defer cancel()
	var under, noticed []model.Remedy
	defer func() { fatal = errors.Join(fatal, s.clear(ctx, change.Places, under, noticed)) }()
	for _, r := range change.Under {
		if err := s.apply(changed, r); err != nil {
			return nil, err
		}
		under = append(under, r)
		noticed = under
	}
	if err := s.apply(changed, change.Remedy); err != nil {
		return nil, err
	}
	all := renewal{remedies: append(slices.Clone(under), change.Remedy), noticed: change.Places, needed: true, until: until, guests: change.Restart, strangers: change.Strangers}
	s.proxy = change.Proxy
	if err = s.renew(changed, all.alone()); err == nil {
		err = s.probeAll(changed, change.Intervened, change.Places)
	}
	s.proxy = ""
	if fatal := s.revert(ctx, change.Remedy); fatal != nil {
		return fatal, err
	}
	if changed.Err() != nil || time.Now().After(until) {
		noticed = all.remedies
		return nil, cmp.Or(err, context.Cause(changed), errChangeTimeout)
	}
	// Also after an error: what was restarted with the change is to be as found.
	if err = errors.Join(err, s.renew(changed, all)); err != nil {
		return nil, err
	}
	return nil, s.probeAll(changed, change.Reverted, change.Places)
}

// clear reverts what lay under a change, the last first, and has restart what took
// notice of those remedies or that one: the next test is to meet what was found.
func (s *Session) clear(ctx context.Context, places []model.Place, under, noticed []model.Remedy) error {
	var fatal error
	for _, r := range slices.Backward(under) {
		fatal = errors.Join(fatal, s.revert(ctx, r))
	}
	if fatal != nil || ctx.Err() != nil {
		return fatal
	}
	return s.renew(ctx, renewal{remedies: noticed, noticed: places})
}

// apply has the time of a start: with the change a daemon may have to restart.
func (s *Session) apply(ctx context.Context, r model.Remedy) error {
	defer s.pulse.Waiting("applying %s", r.Name)()
	limit := s.startLimit()
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("it took longer than %s", limit))
	defer cancel()
	if err := s.Intervene.Apply(ctx, r); err != nil {
		return errors.Join(err, context.Cause(ctx))
	}
	return nil
}

func (s *Session) revert(ctx context.Context, r model.Remedy) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undo)
	defer cancel()
	defer s.pulse.Waiting("taking %s back", r.Name)()
	if err := s.Intervene.Revert(ctx, r); err != nil {
		return fmt.Errorf("take %s back: %w", r.Name, err)
	}
	return nil
}

// nameRules gives the remedies of findings the commands for the rules of this host, as
// all tests left them: a rule that was put back has another handle.
func (s *Session) nameRules(ctx context.Context, findings []model.Finding) {
	if s.Commands == nil {
		return
	}
	for _, f := range findings {
		if f.Remedy == nil || f.Confidence == model.RuledOut {
			continue
		}
		commands, _, err := s.Commands(ctx, *f.Remedy)
		if err != nil {
			s.note(fmt.Errorf("the commands of %s do not name all that is on this host: %w", f.Remedy.Name, err))
		}
		if len(commands) > 0 {
			f.Remedy.Commands = commands
		}
	}
}
