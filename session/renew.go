package session

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/remedy/catalogue"
)

// renewal is what restarts, and for which remedies.
type renewal struct {
	remedies []model.Remedy
	// noticed are the places that were probed: no other guest has noticed a change.
	noticed []model.Place
	// only leaves out what else of Docker ended with its daemon.
	only bool
	// needed says that the test goes on with what has noticed: that it does not come
	// up is an error.
	needed bool
	// guests has the guests restart, whatever the remedies need.
	guests bool
	// strangers has those guests restart that can: they forget the neighbours that they found.
	strangers bool
	// until is when nothing is waited for any more; zero for never.
	until time.Time
}

// alone is the renewal of nothing but the places that are to be probed.
func (r renewal) alone() renewal {
	r.only = true
	return r
}

// renew restarts what takes notice of a change, or of its end, only then. A
// place that does not come up again, and is not needed, is a note and lost.
func (s *Session) renew(ctx context.Context, r renewal) error {
	about := []string{}
	if r.guests {
		about = append(about, restarted(catalogue.RestartGuests)...)
	}
	for _, remedy := range r.remedies {
		about = append(about, restarted(catalogue.RestartsOf(remedy))...)
	}
	if r.strangers {
		about = append(about, s.restartable(r.noticed)...)
	}
	if len(about) == 0 || ctx.Err() != nil {
		return context.Cause(ctx)
	}
	var errs []error
	for _, lane := range s.Lanes {
		for _, env := range lane {
			place := env.Place()
			noticed := slices.Contains(r.noticed, place)
			if !s.alive[place] || !slices.Contains(about, place.Environment) || r.only && !noticed {
				continue
			}
			// A guest that is not probed has not noticed the change either.
			if !noticed && !inDocker(place) {
				continue
			}
			err := s.restart(ctx, env, r.until)
			s.restartedPlaces[place] = true
			if err != nil && !(noticed && r.needed) {
				s.alive[place] = false
				s.note(fmt.Errorf("%w; it is not probed any more", err))
				continue
			}
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// restartable are the environments of guests among places that can be restarted.
func (s *Session) restartable(places []model.Place) []string {
	var all []string
	for _, lane := range s.Lanes {
		for _, env := range lane {
			p := env.Place()
			if _, can := as[Restarter](env); can && slices.Contains(places, p) && slices.Contains(restarted(catalogue.RestartGuests), p.Environment) {
				all = append(all, p.Environment)
			}
		}
	}
	return all
}

// restart starts a place again, within the time that a start has and before until.
func (s *Session) restart(ctx context.Context, env Environment, until time.Time) error {
	again, ok := as[Restarter](env)
	if !ok {
		return fmt.Errorf("%s cannot be restarted, which the change needs", env.Place())
	}
	s.say("%s: restarting", env.Place())
	defer s.pulse.Waiting("restarting %s", env.Place())()
	limit := s.startLimit()
	if !until.IsZero() {
		limit = min(limit, time.Until(until))
	}
	err := within(ctx, limit, func(limited context.Context) error {
		err := again.Restart(limited)
		s.pause(ctx, env)
		return err
	})
	if err != nil {
		return fmt.Errorf("restart %s: %w", env.Place(), err)
	}
	s.fresh(env.Place())
	return nil
}

// restarted are the environments that restart with the one thing.
func restarted(what catalogue.Restart) []string {
	switch what {
	case catalogue.RestartDocker:
		return []string{model.EnvContainer, model.EnvDind, model.EnvDindInner}
	case catalogue.RestartGuests:
		return []string{model.EnvBridge, model.EnvLXDContainer, model.EnvLXDVM, model.EnvQEMUBridge, model.EnvQEMUUser}
	}
	return nil
}

func inDocker(p model.Place) bool {
	return slices.Contains(restarted(catalogue.RestartDocker), p.Environment)
}
