package diagnose

import (
	"fmt"
	"slices"
	"strings"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/remedy/catalogue"
)

// How findings about who answers names for a bridge are headed.
const (
	titleServersSilent = "The DNS server of the bridge gets no answers from the server that it asks"
	titleNoServers     = "The DNS server of the bridge has no server that it could ask"
	titleResolverGone  = "The DNS server that guests are given is not there"
)

// forwarder is who takes a place's DNS queries on its bridge, with its servers, and the
// failures of those queries.
func (v *view) forwarder(p model.Place) (x model.Listener, bridge string, failed []model.Result, ok bool) {
	bridge, attached := v.attached(p)
	w, facts := v.watch(p), v.facts(p)
	if _, is := v.cutShort(p); is {
		return model.Listener{}, "", nil, false // its answers do come
	}
	failed = filter(v.failedWith(unresolved...), within(p))
	if !attached || w == nil || w.Sightings == nil || facts == nil || len(failed) == 0 || len(v.resolving(p)) > 0 ||
		!slices.ContainsFunc(facts.Resolvers, func(a string) bool { return v.ofBridge(bridge, a) }) {
		return model.Listener{}, "", nil, false
	}
	for _, x := range w.Sightings.Listeners {
		if v.serves(x, portDNS, bridge) && x.ServersRead && !x.Stopped {
			return x, bridge, failed, true
		}
	}
	return model.Listener{}, "", nil, false
}

// serversSilent: who answers names for a bridge asks servers of which none answers the
// runner either.
func (v *view) serversSilent(p model.Place) (told, bool) {
	x, bridge, failed, ok := v.forwarder(p)
	if !ok || len(x.Servers) == 0 || slices.ContainsFunc(x.Servers, func(s model.NameServer) bool { return s.Answer != "" }) {
		return told{}, false
	}
	return told{results: failed, refs: []string{v.watch(p).Ref()}, text: fmt.Sprintf("%s (process %d), which answers names for guests of %s, asks %s (%s), and %s the runner either: give it another server",
		x.Process, x.PID, bridge, serversText(x.Servers), toldBy(x, "server", "resolv-file"), notAnswering(x.Servers)), remedy: v.forward(bridge)}, true
}

// noServers: who answers names for a bridge refuses, as it has nobody to ask.
func (v *view) noServers(p model.Place) (told, bool) {
	x, bridge, failed, ok := v.forwarder(p)
	said := v.answers(p)
	if !ok || len(x.Servers) > 0 || said == nil {
		return told{}, false
	}
	return told{results: failed, refs: []string{v.watch(p).Ref(), said.Ref()}, text: fmt.Sprintf("%s (process %d), which answers names for guests of %s, knows no DNS server that it could ask (%s), and answers %s: give it one",
		x.Process, x.PID, bridge, toldBy(x, "no-resolv", "resolv-file"), said.Detail.Values["rcode"]), remedy: v.forward(bridge)}, true
}

// answers is the first question for a name that a place was answered by a code of failure.
func (v *view) answers(p model.Place) *model.Result {
	for _, r := range v.of(p) {
		if r.Probe == model.ProbeDNSA && slices.Contains(unresolved, r.Reason) && r.Detail.Values["rcode"] != "" {
			return &r
		}
	}
	return nil
}

func serversText(all []model.NameServer) string {
	var names []string
	for _, s := range all {
		name := s.Address.String()
		if s.Address.Port() == portDNS {
			name = s.Address.Addr().String()
		}
		names = append(names, name)
	}
	return join(names)
}

func notAnswering(all []model.NameServer) string {
	if len(all) == 1 {
		return "that does not answer"
	}
	return "none of them answers"
}

// toldBy are the options, or the file, that told dnsmasq its servers, or that it has none.
func toldBy(x model.Listener, by ...string) string {
	options := filter(x.Options, func(o string) bool {
		name, _, _ := strings.Cut(o, "=")
		return slices.Contains(by, name)
	})
	if len(options) == 0 {
		return "/etc/resolv.conf"
	}
	return join(options)
}

// forward answers a bridge's questions by the runner's resolver; nil where that has no
// answers either.
func (v *view) forward(bridge string) *model.Remedy {
	if catalogue.Interface(bridge) != nil || len(v.resolving(v.runner())) == 0 {
		return nil
	}
	r := catalogue.Named(catalogue.DNSForwarder, map[string]string{"bridge": bridge})
	return &r
}

// resolverGone: a place asks for names at an address of its bridge's network that nobody has.
func (v *view) resolverGone(p model.Place) (told, bool) {
	facts, bridge := v.facts(p), v.linkOf(p)
	seen, ok := v.run.Inspection(p, v.round)
	if !ok || facts == nil || p == v.runner() || bridge == "" || len(v.resolving(p)) > 0 {
		return told{}, false
	}
	mine := filter(v.unexplained(), func(r model.Result) bool { return r.Place == p && r.Unnamed() })
	for _, a := range resolversOf(facts) {
		dead := slices.ContainsFunc(seen.Neighbours, func(n model.Neighbour) bool { return n.Address == a.String() && slices.Contains(deadStates, n.State) })
		if !dead || v.holderOf(a) != "" || len(mine) == 0 {
			continue
		}
		t := told{results: mine, refs: []string{seen.Ref()}, text: fmt.Sprintf("%s asks %s for names, which nobody on %s has: it was asked for, and does not answer", p, a, bridge)}
		if w := v.watch(p); w != nil && w.Sightings != nil {
			t.refs = append(t.refs, w.Ref())
			if options := v.servedBy(w.Sightings, bridge, portDHCP, "dhcp-option"); strings.Contains(options, a.String()) {
				t.text += "; " + options
			}
		}
		return t, true
	}
	return told{}, false
}

// byForwarder are what names of guests fail by at who answers them, each with its headline.
func (v *view) byForwarder(cause, title string, tell func(model.Place) (told, bool)) []Hypothesis {
	var all []told
	for _, p := range v.places() {
		if t, ok := tell(p); ok {
			all = add(all, t)
		}
	}
	found := v.tell(cause, all)
	for i := range found {
		found[i].Finding.Title, found[i].asked = title, true
	}
	return found
}

// contradictAnswered has what became of questions at who takes them speak against their being
// blocked on the way.
func (v *view) contradictAnswered(h *Hypothesis, places []model.Place) {
	for _, p := range places {
		if r := v.answers(p); r != nil {
			h.Contradictions = append(h.Contradictions, model.Evidence{Refs: []string{r.Ref()},
				Text: fmt.Sprintf("%s answers %s with %s: its queries and the answers to them pass", r.Detail.Values["resolver"], p, r.Detail.Values["rcode"])})
		}
		for _, tell := range []func(model.Place) (told, bool){v.serversSilent, v.resolverGone, v.truncated} {
			if t, ok := tell(p); ok {
				h.Contradictions = append(h.Contradictions, model.Evidence{Refs: t.refs, Text: t.text})
			}
		}
	}
}
