package diagnose

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/nestlab/nestlab/model"
)

// lack is a service that guests of a bridge ask for and that nobody on the runner gives.
type lack struct {
	bridge string
	port   uint16
}

// String names it.
func (l lack) String() string {
	service := "DNS queries"
	if l.port == portDHCP {
		service = "DHCP requests"
	}
	return fmt.Sprintf("%s (UDP port %d) on %s", service, l.port, l.bridge)
}

// matchNobodyListens: guests of a bridge get no address or no names, and no process of
// the runner is there that would serve them.
func matchNobodyListens(v *view) []Hypothesis {
	failed, watches := map[lack][]model.Result{}, map[lack][]*model.Watch{}
	var order []lack
	for _, p := range v.places() {
		l, mine, ok := v.unserved(p)
		if !ok {
			continue
		}
		if failed[l] == nil {
			order = append(order, l)
		}
		failed[l], watches[l] = append(failed[l], mine...), append(watches[l], v.watch(p))
	}
	var all []Hypothesis
	for _, l := range order {
		h := v.symptom(CauseNobodyListens, failed[l], "")
		h.Finding.Evidence[0] = v.lackEvidence(l, watches[l])
		places := placesOf(failed[l])
		h.contradict(filter(v.base, func(r model.Result) bool {
			return r.Probe == model.ProbeDNSA && passed(r) && slices.Contains(places, r.Place)
		}), "names resolve there all the same")
		if l.port == portDHCP {
			v.offered(&h, places)
		}
		all = append(all, h)
	}
	return all
}

// lackEvidence says that nobody listens, and who has the bridge's port of DNS.
func (v *view) lackEvidence(l lack, watches []*model.Watch) model.Evidence {
	e := model.Evidence{Text: "no process of the runner takes " + l.String()}
	for _, w := range watches {
		e.Refs = append(e.Refs, w.Ref())
	}
	for _, x := range watches[0].Sightings.Listeners {
		if v.serves(x, portDNS, l.bridge) && x.Process != "" {
			e.Text += fmt.Sprintf("; port 53 there is held by %s (process %d)", x.Process, x.PID)
			break
		}
	}
	return e
}

// unserved is what a place asks for in vain as nobody gives it, and its failures of that.
func (v *view) unserved(p model.Place) (lack, []model.Result, bool) {
	l, failed, ok := v.wants(p)
	if !ok {
		return lack{}, nil, false
	}
	served := slices.ContainsFunc(v.watch(p).Sightings.Listeners, func(x model.Listener) bool { return v.serves(x, l.port, l.bridge) })
	return l, failed, len(failed) > 0 && !served
}

// wants is what a place asks the runner for in vain, and its failures of that.
func (v *view) wants(p model.Place) (lack, []model.Result, bool) {
	bridge, ok := v.attached(p)
	if bridge == "" && ok {
		bridge, ok = v.guestBridge()
	}
	w, f := v.watch(p), v.facts(p)
	if w == nil || w.Sightings == nil || !w.Sightings.ListenersRead || !ok || f == nil || len(f.Interfaces) == 0 {
		return lack{}, nil, false
	}
	var failed []model.Result
	l := lack{bridge, portDNS}
	switch {
	case !hasAddress(f):
		l.port = portDHCP
		failed = filter(v.unexplained(), within(p))
	case slices.ContainsFunc(f.Resolvers, func(s string) bool { return v.ofBridge(bridge, s) }):
		failed = filter(v.unexplained(), func(r model.Result) bool { return r.Place == p && unnamed(r) && len(r.Detail.Dials) == 0 })
	}
	return l, failed, len(failed) > 0
}

// unservedIn is that nobody gives what places are thought to be kept from; that speaks
// against whatever keeps them from it.
func (v *view) unservedIn(h *Hypothesis, places []model.Place, port uint16) {
	for _, p := range places {
		if l, _, lacks := v.unserved(p); lacks && l.port == port {
			h.Contradictions = append(h.Contradictions, v.lackEvidence(l, []*model.Watch{v.watch(p)}))
			return
		}
		if l, text, is := v.stopped(p); is && l.port == port {
			h.Contradictions = append(h.Contradictions, model.Evidence{Refs: []string{v.watch(p).Ref()}, Text: text})
			return
		}
	}
}

// offered reports, as contradictions, where a DHCP server offers an address to one who asks.
func (v *view) offered(h *Hypothesis, places []model.Place) {
	for _, p := range places {
		i, _ := v.run.Inspection(p, v.round)
		for _, o := range i.DHCP {
			if o.Address.IsValid() {
				h.Contradictions = append(h.Contradictions, model.Evidence{Refs: []string{i.Ref()},
					Text: fmt.Sprintf("asked from %s, the DHCP server %s offers %s: what is there to ask for an address does not", p, o.Server, o.Address)})
			}
		}
	}
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
