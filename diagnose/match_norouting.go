package diagnose

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/remedy/catalogue"
)

// Why the kernel sends a packet nowhere, as sightings have it.
const (
	notForwarding = "not forwarding"
	reversePath   = "reverse path"
)

// refusedRoute: the kernel says that it does not route such packets on, by a setting of the
// interface that they come in by. Where drops are seen they tell it better.
func (v *view) refusedRoute(kind string, tell func(d model.Decision) (string, model.Remedy)) []told {
	return v.around(func(p model.Place, s *model.Sightings, lost []model.Result) (told, bool) {
		if s.Watched || slices.ContainsFunc(s.Drops, func(x model.Sighting) bool { return x.Kernel != nil }) {
			return told{}, false
		}
		if _, ok := v.sourceElsewhere(p, s, lost); ok { // that is why
			return told{}, false
		}
		to := map[netip.AddrPort]bool{}
		var first model.Decision
		for _, d := range s.Decisions {
			if d.Kind != kind || !v.came(p, d) || !refuses(s, d) || slices.ContainsFunc(v.of(p), func(r model.Result) bool { return connectedTo(r, map[netip.AddrPort]bool{farEnd(d): true}) }) {
				continue
			}
			if len(to) == 0 {
				first = d
			}
			to[farEnd(d)] = true
		}
		mine := filter(lost, func(r model.Result) bool { return v.lostTo(r, to) })
		if len(mine) == 0 {
			return told{}, false
		}
		text, remedy := tell(first)
		t := told{results: mine, text: text}
		if catalogue.Interface(first.In) == nil {
			t.remedy = &remedy
		}
		return t, true
	})
}

// came reports whether a packet of a place can have come to the interface of a decision: where
// its packets were counted, some did.
func (v *view) came(p model.Place, d model.Decision) bool {
	hop, counted := v.watch(p).Hop(d.In)
	return d.Reply || !counted || hop.Place.Out > 0
}

// refuses reports whether the setting that was read of the interface is why.
func refuses(s *model.Sightings, d model.Decision) bool {
	return slices.ContainsFunc(s.Interfaces, func(i model.InterfaceSettings) bool {
		return i.Interface == d.In && (d.Kind == notForwarding && !i.Forwarding4 || d.Kind == reversePath && i.RPFilter > 0)
	})
}

// matchForwarding: the runner, one of its interfaces or a nested one does not forward.
func matchForwarding(v *view) []Hypothesis {
	return slices.Concat(matchIPForwardOff(v), v.interfaceForwarding(), v.innerForwarding(), v.daemonWantsForwarding())
}

// interfaceForwarding: one interface does not forward, where the runner as a whole does.
func (v *view) interfaceForwarding() []Hypothesis {
	if on, known := v.forwards(); known && !on {
		return nil
	}
	return v.tell(CauseIPForwardOff, v.refusedRoute(notForwarding, func(d model.Decision) (string, model.Remedy) {
		return fmt.Sprintf("the kernel does not forward what comes in by %s: net.ipv4.conf.%s.forwarding is 0", d.In, d.In),
			catalogue.Named(catalogue.InterfaceForwardingOn, map[string]string{"interface": d.In})
	}))
}

// matchReversePath: a source is not expected on the interface that packets come in by.
func matchReversePath(v *view) []Hypothesis {
	return v.tell(CauseRPFilter, v.refusedRoute(reversePath, func(d model.Decision) (string, model.Remedy) {
		return fmt.Sprintf("the kernel does not expect %s on %s: its reverse path filter drops what comes from there", d.Source, d.In),
			catalogue.Named(catalogue.RPFilterLoose, map[string]string{"interface": d.In})
	}))
}
