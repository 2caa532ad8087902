package session

import (
	"context"
	"fmt"
	"net/netip"
	"slices"

	"github.com/nestlab/nestlab/model"
)

// capture starts to count packets. What cannot be watched is a note: the probes
// are worth making without it.
func (s *Session) capture(ctx context.Context) Stop {
	if s.Capture == nil {
		return nil
	}
	stop, err := s.Capture(ctx)
	if err != nil {
		s.noteOnce(fmt.Errorf("the runner's interfaces are not watched in full: %w", err))
	}
	return stop
}

// noteOnce notes what would be said of every place again.
func (s *Session) noteOnce(err error) {
	s.mu.Lock()
	noted := s.noted[err.Error()]
	s.noted[err.Error()] = true
	s.mu.Unlock()
	if !noted {
		s.note(err)
	}
}

// hops ends the count and asks for what was seen of the place.
func (s *Session) hops(stop Stop, place model.Place, round string) []model.Hop {
	if stop == nil {
		return nil
	}
	own, targets := s.ends(place, round)
	hops, err := stop(own, targets)
	if err != nil {
		s.note(fmt.Errorf("count packets while %s was probed: %w", place, err))
	}
	return hops
}

// maxTried bounds the addresses that packets are counted towards.
const maxTried = 4096

// ends are the addresses of a place and those that it tried in a round.
func (s *Session) ends(place model.Place, round string) (own, targets []netip.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	own = slices.DeleteFunc(s.addresses(place), netip.Addr.Is6)
	tried := map[netip.Addr]bool{}
	for _, r := range s.run.Results {
		if r.Place != place || r.Round != round {
			continue
		}
		for _, a := range r.Tried() {
			if !tried[a] && len(tried) < maxTried {
				tried[a] = true
				targets = append(targets, a)
			}
		}
	}
	return own, targets
}
