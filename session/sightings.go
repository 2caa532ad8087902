package session

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/observe/follow"
)

// stopFollowing bounds what is asked of the kernel once a place was probed.
const stopFollowing = 20 * time.Second

// follow begins to follow the packets of a place.
func (s *Session) follow(ctx context.Context, place model.Place) Follower {
	if s.Follow == nil {
		return nil
	}
	return s.Follow(ctx, s.subject(place))
}

// sightings ends it. What was tried is asked for its route.
func (s *Session) sightings(ctx context.Context, f Follower, place model.Place, round string) *model.Sightings {
	if f == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopFollowing)
	defer cancel()
	seen := f.Stop(ctx, s.tried(place, round))
	return &seen
}

// subject is what is known of a place's packets before it is probed: they come in by a
// bridge of the runner, or are the runner's own.
func (s *Session) subject(place model.Place) follow.Subject {
	s.mu.Lock()
	defer s.mu.Unlock()
	if place.Environment == model.EnvRunner || place.Environment == model.EnvQEMUUser {
		return follow.Subject{Own: true}
	}
	var subject follow.Subject
	for _, i := range s.runner().Interfaces {
		if i.Type != "bridge" || place.Environment == model.EnvBridge && i.Name != place.Name {
			continue
		}
		subject.Bridges = append(subject.Bridges, i.Name)
		for _, text := range i.Addresses {
			p, err := netip.ParsePrefix(text)
			if err == nil && !p.Addr().IsLoopback() && !p.Addr().IsLinkLocalUnicast() {
				subject.Networks = append(subject.Networks, p.Masked())
			}
		}
	}
	for _, text := range s.runner().Resolvers {
		if a, err := netip.ParseAddr(text); err == nil && !a.IsLoopback() {
			subject.Resolvers = append(subject.Resolvers, a)
		}
	}
	for _, r := range s.run.Results {
		if r.Place != place && r.Environment != model.EnvRunner {
			continue
		}
		for _, a := range r.Tried() {
			if !a.IsLoopback() && !slices.Contains(subject.Destinations, a) {
				subject.Destinations = append(subject.Destinations, a)
			}
		}
	}
	return subject
}

// runner are the runner's facts; empty before they were read. The lock is held.
func (s *Session) runner() model.Facts {
	for _, f := range s.run.Facts {
		if f.Environment == model.EnvRunner {
			return f
		}
	}
	return model.Facts{}
}

// tried lists the different addresses that a place tried, those that gave no answer first:
// by its own address of their family and the runner's bridge that it is behind. Where no
// name was answered that is who was asked for it.
func (s *Session) tried(place model.Place, round string) []follow.Tried {
	s.mu.Lock()
	defer s.mu.Unlock()
	own := s.addresses(place)
	var failing, others []follow.Tried
	for _, r := range s.run.Results {
		if r.Place != place || r.Round != round {
			continue
		}
		all := follow.Tried{}.To(r.Dialled()...)
		if r.Outcome.Bad() && (r.Unnamed() || r.Probe == model.ProbeDNSA) {
			all = append(all, follow.Tried{Names: s.sought(place, round)}.To(s.resolvers(place)...)...)
		}
		for _, t := range all {
			from := slices.IndexFunc(own, func(a netip.Addr) bool { return a.Is4() == t.Destination.Is4() })
			if from < 0 {
				continue
			}
			t.Source, t.In, t.Failed = own[from], s.bridgeOf(place, own[from]), r.Outcome.Bad()
			switch {
			case place.Environment != model.EnvRunner && t.In == "":
			case t.Failed:
				failing = append(failing, t)
			default:
				others = append(others, t)
			}
		}
	}
	var out []follow.Tried
	for _, t := range append(failing, others...) {
		again := t
		again.Failed = true
		if !slices.Contains(out, t) && !slices.Contains(out, again) {
			out = append(out, t)
		}
	}
	return out
}

// sought is a name that a place asks for in vain; the root for none that is known. The lock
// is held.
func (s *Session) sought(place model.Place, round string) string {
	for _, r := range s.run.Results {
		if r.Place == place && r.Round == round && r.Probe == model.ProbeDNSA && r.Outcome.Bad() {
			return r.Target
		}
	}
	return "."
}

// resolvers are those that a place asks itself. The lock is held.
func (s *Session) resolvers(place model.Place) []netip.AddrPort {
	var all []netip.AddrPort
	for _, f := range s.run.Facts {
		for _, text := range f.Resolvers {
			a, err := netip.ParseAddr(text)
			if at := netip.AddrPortFrom(a, 0); err == nil && f.Place == place && !a.IsLoopback() && !slices.Contains(all, at) {
				all = append(all, at)
			}
		}
	}
	return all
}

// addresses are those of a place that others can answer to. The lock is held.
func (s *Session) addresses(place model.Place) []netip.Addr {
	var own []netip.Addr
	for _, f := range s.run.Facts {
		if f.Place != place {
			continue
		}
		for _, i := range f.Interfaces {
			for _, text := range i.Addresses {
				if p, err := netip.ParsePrefix(text); err == nil && !p.Addr().IsLoopback() && !(p.Addr().Is6() && p.Addr().IsLinkLocalUnicast()) {
					own = append(own, p.Addr())
				}
			}
		}
	}
	return own
}

// bridgeOf is the runner's bridge that a place with an address is behind. The lock is held.
func (s *Session) bridgeOf(place model.Place, a netip.Addr) string {
	if place.Environment == model.EnvBridge {
		return place.Name
	}
	for _, i := range s.runner().Interfaces {
		for _, text := range i.Addresses {
			if p, err := netip.ParsePrefix(text); i.Type == "bridge" && err == nil && p.Contains(a) && p.Addr() != a {
				return i.Name
			}
		}
	}
	return ""
}
