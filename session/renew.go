package session

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/nestlab/nestlab/diagnose"
	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/remedy/catalogue"
)

// renew starts anew what takes notice of a change, or of its end, only then: the
// places that are probed, or all that it is about where only is nil. A place that
// does not come up again, and is not to be probed, is a note and lost.
func (s *Session) renew(ctx context.Context, change *diagnose.Intervention, only []model.Place) error {
	about := []string{}
	for _, r := range append(slices.Clone(change.Under), change.Remedy) {
		about = append(about, restarted(catalogue.RestartsOf(r))...)
	}
	if len(about) == 0 || ctx.Err() != nil {
		return context.Cause(ctx)
	}
	var errs []error
	for _, lane := range s.Lanes {
		for _, env := range lane {
			place := env.Place()
			probed := slices.Contains(change.Places, place)
			if !s.alive[place] || !slices.Contains(about, place.Environment) || only != nil && !probed {
				continue
			}
			// A guest that is not probed has not noticed the change either.
			if !probed && !inDocker(place) {
				continue
			}
			err := s.restart(ctx, env)
			if err != nil && !probed {
				s.alive[place] = false
				s.note(fmt.Errorf("%w; it is not probed any more", err))
				continue
			}
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func (s *Session) restart(ctx context.Context, env Environment) error {
	again, ok := env.(Restarter)
	if !ok {
		return fmt.Errorf("%s cannot be started anew, which the change needs", env.Place())
	}
	s.say("%s: starting anew", env.Place())
	if err := again.Restart(ctx); err != nil {
		return fmt.Errorf("start %s anew: %w", env.Place(), err)
	}
	return nil
}

// restarted are the environments that start anew with the one thing.
func restarted(what catalogue.Restart) []string {
	switch what {
	case catalogue.RestartDocker:
		return []string{model.EnvContainer, model.EnvDind, model.EnvDindInner}
	case catalogue.RestartGuests:
		return []string{model.EnvLXDContainer, model.EnvLXDVM, model.EnvQEMUBridge, model.EnvQEMUUser}
	}
	return nil
}

func inDocker(p model.Place) bool {
	return slices.Contains(restarted(catalogue.RestartDocker), p.Environment)
}
