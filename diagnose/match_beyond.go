package diagnose

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/nestlab/nestlab/model"
)

const titleRefusesGuests = "The network behind the runner refuses guests' connections"

// upstreamRules are about what is behind the uplink, for the runner as for guests.
var upstreamRules = []Rule{
	{
		Cause: CauseRefusedUpstream, layer: layerSite,
		Title: "What is behind the runner refuses these connections",
		About: "a server or a firewall behind the runner answers connections with resets or ICMP errors",
		means: "What is behind the runner refuses these connections: nobody listens there, or a firewall on the way does not let them through",
		match: matchRefusedUpstream,
	},
	{
		Cause: CauseUnansweredUpstream, layer: layerSite,
		Title: "What is behind the runner drops these connections silently",
		About: "connections leave the runner, and nothing comes back, while others are answered",
		means: "What is behind the runner drops these connections: a firewall on the way does, or the server is gone",
		match: matchUnansweredUpstream,
	},
}

// matchRefusedUpstream: what is behind the runner refuses, and nothing says that it lets the
// runner through.
func matchRefusedUpstream(v *view) []Hypothesis {
	return v.tell(CauseRefusedUpstream, v.refusedBehind(func(to netip.AddrPort) bool { return !v.runnerGets(to) }))
}

// refusesGuests: what is behind the runner refuses guests what the runner gets.
func (v *view) refusesGuests() []Hypothesis {
	all := v.tell(CauseUpstreamBlocks, v.refusedBehind(v.runnerGets))
	for i := range all {
		all[i].Finding.Title = titleRefusesGuests
	}
	return all
}

// runnerGets reports whether the runner itself connected to an address: a name may have
// others for guests.
func (v *view) runnerGets(to netip.AddrPort) bool {
	at := map[netip.AddrPort]bool{to: true}
	return slices.ContainsFunc(v.of(v.runner()), func(r model.Result) bool { return connectedTo(r, at) })
}

// refusal is what is refused in one way, by whom, and the failures of it.
type refusal struct {
	told
	kind model.Refusal // without addresses
	who  []string
}

// add adds failures, each once: a name may have several addresses that refuse.
func (r *refusal) add(mine []model.Result, watch, who string) {
	for _, m := range mine {
		if !slices.ContainsFunc(r.results, func(o model.Result) bool { return o.Ref() == m.Ref() }) {
			r.results = append(r.results, m)
		}
	}
	r.refs, r.who = unique(append(r.refs, watch)), unique(append(r.who, who))
}

func (r refusal) tell() told {
	r.text = fmt.Sprintf("%s: %s came in by %s, so that it is not this host that refuses", join(r.who), r.kind.Meaning(), r.kind.In)
	return r.told
}

// refusedBehind gathers the failures that a sender behind the runner refused.
func (v *view) refusedBehind(is func(to netip.AddrPort) bool) []told {
	var all []refusal
	for _, p := range v.places() {
		w := v.watch(p)
		if w == nil {
			continue
		}
		for _, r := range v.refusalsBehind(w) {
			to := map[netip.AddrPort]bool{r.To: true}
			mine := filter(v.unanswered(p), func(x model.Result) bool { return len(x.Detail.Dials) > 0 && v.lostTo(x, to) })
			if len(mine) == 0 || !is(r.To) {
				continue
			}
			kind, who := r, fmt.Sprintf("%s answers connections to %s", r.By, r.To)
			kind.By, kind.To, kind.Packets = netip.Addr{}, netip.AddrPortFrom(netip.Addr{}, r.To.Port()), 0
			i := slices.IndexFunc(all, func(o refusal) bool { return o.kind == kind })
			if i < 0 {
				i, all = len(all), append(all, refusal{kind: kind})
			}
			all[i].add(mine, w.Ref(), who)
		}
	}
	out := make([]told, 0, len(all))
	for _, r := range all {
		out = append(out, r.tell())
	}
	return out
}

// refusalsBehind lists the refusals of connections that came in by the interface that they leave by.
func (v *view) refusalsBehind(w *model.Watch) []model.Refusal {
	uplink, _ := w.Uplink()
	return filter(w.Sightings.Refused(), func(r model.Refusal) bool {
		return !r.Own() && r.To.Port() != portDNS && (r.In == uplink.Interface || slices.ContainsFunc(w.Sightings.Decisions, func(d model.Decision) bool {
			return !d.Reply && d.Destination == r.To.Addr() && d.Out == r.In
		}))
	})
}

// matchUnansweredUpstream: connections leave by the uplink, and nothing comes back,
// where others by the same way are answered.
func matchUnansweredUpstream(v *view) []Hypothesis {
	return v.tell(CauseUnansweredUpstream, v.around(func(p model.Place, s *model.Sightings, lost []model.Result) (told, bool) {
		uplink, counted := v.watch(p).Uplink()
		flow := uplink.Runner
		if !counted || !s.Traced || !s.Watched || uplink.Place.Out > 0 || flow.SYN < flow.SYNACK+v.unconnected(p) {
			return told{}, false
		}
		lost = filter(lost, func(r model.Result) bool { return r.Reason == model.ConnectTimeout && len(r.Detail.Dials) > 0 })
		d, mine, ok := v.outward(p, s, lost, func(d model.Decision) bool {
			at := map[netip.AddrPort]bool{farEnd(d): true}
			refused := slices.ContainsFunc(s.Refusals, func(r model.Refusal) bool { return r.To == farEnd(d) })
			reached := slices.ContainsFunc(v.base, func(r model.Result) bool { return connectedTo(r, at) })
			return d.Kind == "unicast" && d.Out == uplink.Interface && !refused && !reached && (d.Hop == nil || !slices.Contains(deadStates, d.Hop.State))
		})
		if !ok || !v.answersFrom(d.Destination.Is4()) {
			return told{}, false
		}
		return told{results: mine, text: fmt.Sprintf(
			"connections to %s leave on the uplink %s, and nothing comes back, no refusal either; other sites, or the runner's resolver, answer", farEnd(d), uplink.Interface)}, true
	}))
}

// unconnected is how many connections of a place over IPv4 were not answered: each sent a SYN
// at least, which left if all did.
func (v *view) unconnected(p model.Place) uint64 {
	n := uint64(0)
	for _, r := range v.of(p) {
		for _, d := range r.Detail.Dials {
			if at, err := netip.ParseAddrPort(d.Address); err == nil && at.Addr().Unmap().Is4() && d.Reason == model.ConnectTimeout {
				n++
			}
		}
	}
	return n
}

// answersFrom reports whether anybody gets answers of a family from outside: what is lost on the
// way in is not lost by one site.
func (v *view) answersFrom(is4 bool) bool {
	return slices.ContainsFunc(v.base, func(r model.Result) bool {
		if r.Probe == model.ProbeDNSA && r.Place == v.runner() && passed(r) {
			return slices.ContainsFunc(resolversOf(v.facts(r.Place)), func(a netip.Addr) bool { return a.Is4() == is4 })
		}
		return outside(r, v.facts(r.Place)) && slices.ContainsFunc(r.Detail.Dials, func(d model.Dial) bool {
			at, err := netip.ParseAddrPort(d.Address)
			return err == nil && at.Addr().Unmap().Is4() == is4 && d.Reason == ""
		})
	})
}
