package diagnose

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/remedy/catalogue"
)

// lostReasons are those of failures for which nothing came back, or nothing was found.
var lostReasons = []model.Reason{model.ConnectTimeout, model.DNSTimeout, model.Unreachable, model.DeadlineExceeded, model.ReadTimeout, model.Refused}

// unanswered lists a place's unexplained failures for which nothing came back.
func (v *view) unanswered(p model.Place) []model.Result {
	return filter(v.unexplained(), func(r model.Result) bool {
		return r.Place == p && r.Probe != model.ProbeStart && r.Outcome.Bad() && slices.Contains(lostReasons, r.Reason)
	})
}

// linkOf is the runner's interface that a place's packets come in by; for the runner itself
// the one that they leave by.
func (v *view) linkOf(p model.Place) string {
	if p == v.runner() {
		if f := v.facts(p); f != nil {
			return uplinkOf(f)
		}
		return ""
	}
	bridge, ok := v.attached(p)
	if bridge == "" && ok {
		bridge, _ = v.guestBridge()
	}
	return bridge
}

// told is one sentence about places, and the failures that it explains.
type told struct {
	text    string
	remedy  *model.Remedy
	results []model.Result
	refs    []string
	setting *model.DockerSetting
	// onceTried says that the remedy is none unless all passed with it.
	onceTried bool
}

// findsNeighbours are the remedies for who asks for the runner's address in vain.
var findsNeighbours = []string{catalogue.ARPOn, catalogue.ARPAnswer, catalogue.BridgeAddress, catalogue.RouteToBridge}

// tell makes a hypothesis of each sentence.
func (v *view) tell(cause string, all []told) []Hypothesis {
	var out []Hypothesis
	for _, t := range all {
		h := v.symptom(cause, t.results, t.text)
		h.Finding.Evidence[0].Refs, h.Finding.Evidence[0].Setting = t.refs, t.setting
		if t.remedy != nil {
			h.test(*t.remedy, placesOf(t.results)...)
			h.onceTried = t.onceTried
			h.Intervention.Strangers = slices.Contains(findsNeighbours, t.remedy.Name)
		}
		out = append(out, h)
	}
	return out
}

// add adds a place's failures under a sentence.
func add(all []told, t told) []told {
	i := slices.IndexFunc(all, func(o told) bool { return o.text == t.text })
	if i < 0 {
		return append(all, t)
	}
	all[i].results, all[i].refs = append(all[i].results, t.results...), append(all[i].refs, t.refs...)
	return all
}

// around gathers what is told of each place with sightings and lost packets.
func (v *view) around(tell func(p model.Place, s *model.Sightings, lost []model.Result) (told, bool)) []told {
	var all []told
	for _, p := range v.places() {
		w := v.watch(p)
		lost := v.unanswered(p)
		if w == nil || w.Sightings == nil || len(lost) == 0 {
			continue
		}
		if t, ok := tell(p, w.Sightings, lost); ok {
			if t.results == nil {
				t.results = lost
			}
			t.refs = []string{w.Ref()}
			all = add(all, t)
		}
	}
	return all
}

func matchTrafficControl(v *view) []Hypothesis {
	return append(v.tell(CauseTrafficControl, v.shaped()), v.withNames(v.tell(CauseTrafficControl, v.around(v.filtered)))...)
}

// filtered: a filter at an interface that a place's packets come or leave by took some: of
// each failure one at least. Or what looks at all that comes in there dropped, and no packet
// got past it.
func (v *view) filtered(p model.Place, s *model.Sightings, lost []model.Result) (told, bool) {
	link, out := v.linkOf(p), v.wayOut(p)
	for _, f := range s.Filters {
		mine := lost
		if f.Interface != link {
			mine = v.beyond(p, lost)
		}
		if f.Interface != "" && (f.Interface == link || f.Interface == out) && len(mine) > 0 && f.Packets >= uint64(len(mine)) && !v.shapes(f.To) && v.metBy(p, f) {
			return told{text: filterText(f), results: mine}, true
		}
	}
	for _, q := range s.Queues {
		if q.Interface == link && link != "" && slices.Contains(ingressQueues, q.Kind) && v.deaf(p, link) {
			return told{text: queueText(q) + fmt.Sprintf(", and no packet of %s was seen past it: see `tc filter show dev %s ingress`", p, link), results: lost}, true
		}
	}
	return told{}, false
}

// metBy reports whether a filter on a place's way out can have met its packets: answers are
// counted before a filter of what comes in, and what leaves after one of that. Others may
// have come by the same interface.
func (v *view) metBy(p model.Place, f model.TrafficFilter) bool {
	uplink, seen := v.watch(p).Uplink()
	switch {
	case !seen || uplink.Interface != f.Interface:
		return true
	case f.Egress:
		return uplink.Runner.SYN+uplink.Runner.DNSQueries == 0
	}
	return uplink.Runner.SYNACK+uplink.Runner.DNSAnswers > 0
}

// ingressQueues are the queueing disciplines whose filters look at what comes in.
var ingressQueues = []string{"ingress", "clsact"}

// shapes reports whether an interface is one that gives back what it is handed (ifb).
func (v *view) shapes(name string) bool {
	i, ok := v.interfaceOf(name)
	return ok && i.Type == "ifb" && i.Up
}

// deaf reports whether no packet of a place that has an address came to its bridge.
func (v *view) deaf(p model.Place, bridge string) bool {
	hop, seen := v.watch(p).Hop(bridge)
	return p != v.runner() && seen && hop.Place.Out == 0 && !v.addressless(p)
}

// beyond are the failures of what is outside of a place's networks.
func (v *view) beyond(p model.Place, lost []model.Result) []model.Result {
	facts := v.facts(p)
	return filter(lost, func(r model.Result) bool {
		return len(r.Detail.Dials) > 0 && outside(r, facts) && !allIPv6(r) || len(r.Detail.Dials) == 0 && resolvesOutside(facts)
	})
}

// ignoreAll is the arp_ignore that has no request answered.
const ignoreAll = 8

// matchARPOff: the interface that a place's packets come by answers no ARP.
func matchARPOff(v *view) []Hypothesis {
	return v.tell(CauseARPOff, v.around(func(p model.Place, s *model.Sightings, _ []model.Result) (told, bool) {
		link := v.linkOf(p)
		i := slices.IndexFunc(s.Interfaces, func(i model.InterfaceSettings) bool {
			return i.Interface == link && (i.NoARP || i.ARPIgnore == ignoreAll)
		})
		if i < 0 {
			return told{}, false
		}
		t, remedy := told{text: fmt.Sprintf("ARP is switched off on %s (the flag NOARP): the runner answers nobody there who asks for its address, and finds nobody itself", link)}, catalogue.ARPOn
		if !s.Interfaces[i].NoARP {
			t.text = fmt.Sprintf("arp_ignore of %s is %d (`sysctl net.ipv4.conf.all.arp_ignore net.ipv4.conf.%s.arp_ignore`; the higher one counts): the runner answers nobody there who asks for its address", link, ignoreAll, link)
			remedy = catalogue.ARPAnswer
		}
		if catalogue.Interface(link) == nil {
			r := catalogue.Named(remedy, map[string]string{"interface": link})
			t.remedy = &r
		}
		return t, true
	}))
}

// matchStaticNeighbour: what a place tried in vain is handed to a neighbour whose address
// somebody wrote down.
func matchStaticNeighbour(v *view) []Hypothesis {
	return v.tell(CauseStaticNeighbour, v.around(v.pinnedNeighbour))
}

func (v *view) pinnedNeighbour(_ model.Place, s *model.Sightings, lost []model.Result) (told, bool) {
	for _, d := range s.Decisions {
		if d.Hop == nil || !d.Hop.Permanent {
			continue
		}
		to := map[netip.AddrPort]bool{farEnd(d): true}
		mine := filter(lost, func(r model.Result) bool { return v.lostTo(r, to) })
		if len(mine) == 0 {
			continue
		}
		t := told{results: mine, text: fmt.Sprintf("a permanent entry gives %s on %s the MAC address %s, whoever has it now (`ip neigh show dev %s`)", d.Hop.Address, d.Out, d.Hop.MAC, d.Out)}
		if catalogue.Interface(d.Out) == nil {
			r := catalogue.Named(catalogue.NeighbourAsk, map[string]string{"interface": d.Out, "address": d.Hop.Address.String()})
			t.remedy = &r
		}
		return t, true
	}
	return told{}, false
}

// tooShort is a timeout, in seconds, within which answers need not be there.
const tooShort = 2

// usual are the kernel's own timeouts, by protocol the ones that count.
var usual = []struct {
	name    string
	seconds string
	tcp     bool
}{
	{"nf_conntrack_tcp_timeout_syn_sent", "120", true},
	{"nf_conntrack_tcp_timeout_syn_recv", "60", true},
	{"nf_conntrack_tcp_timeout_established", "432000", true},
	{"nf_conntrack_udp_timeout", "30", false},
	{"nf_conntrack_icmp_timeout", "30", false},
}

// matchConntrackTimeout: connections of guests are forgotten before they are answered.
func matchConntrackTimeout(v *view) []Hypothesis {
	return v.tell(CauseConntrackTimeout, v.around(func(p model.Place, s *model.Sightings, lost []model.Result) (told, bool) {
		if _, attached := v.attached(p); !attached || s.Conntrack == nil {
			return told{}, false
		}
		for _, u := range usual {
			i := slices.IndexFunc(s.Conntrack.Timeouts, func(t model.ConntrackTimeout) bool { return t.Setting == u.name && t.Seconds < tooShort })
			mine := filter(lost, func(r model.Result) bool { return len(r.Detail.Dials) > 0 == u.tcp && outside(r, v.facts(p)) })
			if i < 0 || len(mine) == 0 {
				continue
			}
			r := catalogue.Named(catalogue.ConntrackTimeout, map[string]string{"setting": u.name, "seconds": u.seconds})
			return told{results: mine, remedy: &r, text: fmt.Sprintf("net.netfilter.%s is %d: a connection is forgotten before its answer comes, which is then not translated back (the kernel's own is %s)",
				u.name, s.Conntrack.Timeouts[i].Seconds, u.seconds)}, true
		}
		return told{}, false
	}))
}

// matchServerStopped: guests ask in vain, and whoever has the port on their bridge is stopped.
func matchServerStopped(v *view) []Hypothesis {
	return append(matchDockerdStopped(v), v.tell(CauseServerStopped, v.around(func(p model.Place, _ *model.Sightings, _ []model.Result) (told, bool) {
		_, text, is := v.stopped(p)
		_, asked, _ := v.wants(p)
		return told{results: asked, text: text}, is
	}))...)
}

// stopped says that whoever has the port on a bridge that a place asks for in vain is
// stopped by a signal.
func (v *view) stopped(p model.Place) (lack, string, bool) {
	l, _, ok := v.wants(p)
	if !ok {
		return lack{}, "", false
	}
	serving := filter(v.watch(p).Sightings.Listeners, func(x model.Listener) bool { return v.serves(x, l.port, l.bridge) })
	if len(serving) == 0 || slices.ContainsFunc(serving, func(x model.Listener) bool { return !x.Stopped }) {
		return lack{}, "", false
	}
	x := serving[0]
	return l, fmt.Sprintf("%s (process %d) has the socket for %s and is stopped by a signal: `kill -CONT %d` lets it go on", x.Process, x.PID, l, x.PID), true
}
