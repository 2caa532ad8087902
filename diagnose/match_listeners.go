package diagnose

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/nestlab/nestlab/model"
)

// matchNobodyListens: guests of a bridge get no address or no names, and no process of
// the runner is there that would serve them.
func matchNobodyListens(v *view) []Hypothesis {
	var all []Hypothesis
	for _, p := range v.places() {
		w := v.watch(p)
		bridge, ok := v.attached(p)
		if bridge == "" && ok {
			bridge, ok = v.guestBridge()
		}
		if w == nil || w.Sightings == nil || !w.Sightings.ListenersRead || !ok {
			continue
		}
		if h, found := v.unserved(p, w, bridge); found {
			all = append(all, h)
		}
	}
	return all
}

func (v *view) unserved(p model.Place, w *model.Watch, bridge string) (Hypothesis, bool) {
	f := v.facts(p)
	if f == nil || len(f.Interfaces) == 0 {
		return Hypothesis{}, false
	}
	var failed []model.Result
	port, service := uint16(portDNS), "DNS queries"
	switch {
	case !hasAddress(f):
		port, service = portDHCP, "DHCP requests"
		failed = filter(v.unexplained(), within(p))
	case slices.ContainsFunc(f.Resolvers, func(s string) bool { return v.ofBridge(bridge, s) }):
		failed = filter(v.unexplained(), func(r model.Result) bool { return r.Place == p && unnamed(r) && len(r.Detail.Dials) == 0 })
	}
	listeners := w.Sightings.Listeners
	if len(failed) == 0 || slices.ContainsFunc(listeners, func(l model.Listener) bool { return v.serves(l, port, bridge) }) {
		return Hypothesis{}, false
	}
	h := v.symptom(CauseNobodyListens, failed, "")
	text := fmt.Sprintf("no process of the runner takes %s (UDP port %d) on %s", service, port, bridge)
	for _, l := range listeners {
		if l.Address.Port() == portDNS && v.serves(l, portDNS, bridge) {
			text += fmt.Sprintf("; port 53 there is held by %s (process %d)", l.Process, l.PID)
			break
		}
	}
	h.Finding.Evidence[0] = model.Evidence{Refs: []string{w.Ref()}, Text: text}
	h.contradict(filter(v.of(p), func(r model.Result) bool { return r.Probe == model.ProbeDNSA && passed(r) }), "names resolve there all the same")
	return h, true
}

// ofBridge reports whether an address is the runner's own on a bridge.
func (v *view) ofBridge(bridge, address string) bool {
	a, err := netip.ParseAddr(address)
	runner := v.facts(v.runner())
	return err == nil && runner != nil && slices.ContainsFunc(runner.Interfaces, func(i model.Interface) bool {
		return i.Name == bridge && slices.ContainsFunc(prefixes(i), func(n netip.Prefix) bool { return n.Addr() == a })
	})
}

// serves reports whether a listener takes UDP packets to a port on a bridge.
func (v *view) serves(l model.Listener, port uint16, bridge string) bool {
	a := l.Address.Addr()
	return l.Protocol == protoUDP && l.Address.Port() == port && (l.Interface == "" || l.Interface == bridge) &&
		(a.IsUnspecified() || v.ofBridge(bridge, a.Unmap().String()))
}
