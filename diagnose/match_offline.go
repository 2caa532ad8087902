package diagnose

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/remedy/catalogue"
)

// matchRunnerOffline: no route, or no connection of the runner that is answered.
func matchRunnerOffline(v *view) []Hypothesis {
	failed := filter(v.failedWith(model.ConnectTimeout, model.Unreachable, model.DNSTimeout, model.NoResolver), func(r model.Result) bool {
		return r.Place == v.runner() && !allIPv6(r) && (tcpLike(r) || r.Probe == model.ProbeDNSA)
	})
	if len(failed) == 0 {
		return nil
	}
	h := v.symptom(CauseRunnerOffline, failed, "no connection that the runner tried was answered")
	e, routeless := v.noRoute()
	if routeless {
		h.Finding.Evidence = append([]model.Evidence{e}, h.Finding.Evidence...)
	}
	h.contradict(filter(v.of(v.runner()), func(r model.Result) bool { return tcpLike(r) && answered(r) }), "the runner gets answers from outside")
	names := filter(failed, func(r model.Result) bool { return r.Reason == model.DNSTimeout || r.Reason == model.NoResolver })
	v.contradictWay(&h, []model.Place{v.runner()})
	if text, few := v.fewLocalPorts(v.runner()); few {
		h.Contradictions = append(h.Contradictions, model.Evidence{Refs: []string{model.FactsRef(v.runner(), factLocalPorts)}, Text: text})
	}
	if !routeless && len(names) == len(failed) {
		h.contradict(names, "names alone failed: what is behind them was not tried")
	}
	h.follow(filter(v.unexplained(), func(r model.Result) bool { return r.Place != v.runner() && r.Reason != "" }))
	return []Hypothesis{h}
}

// noRoute reports whether the runner has no way out, where its routes were read.
func (v *view) noRoute() (model.Evidence, bool) {
	f := v.facts(v.runner())
	if f == nil || len(f.Interfaces) == 0 {
		return model.Evidence{}, false
	}
	uplink := uplinkOf(f)
	refs := []string{model.FactsRef(v.runner(), factInterfaces)}
	if uplink == "" {
		return model.Evidence{Refs: refs, Text: "the runner has no default route"}, true
	}
	i := slices.IndexFunc(f.Interfaces, func(i model.Interface) bool { return i.Name == uplink })
	if i >= 0 && !f.Interfaces[i].Up {
		return model.Evidence{Refs: refs, Text: fmt.Sprintf("the runner's uplink %s is down", uplink)}, true
	}
	return model.Evidence{}, false
}

// matchSubnetOverlap looks for places whose targets, or whose resolver's answers, are
// by their address on a bridge and elsewhere.
func matchSubnetOverlap(v *view) []Hypothesis {
	runner := v.facts(v.runner())
	if runner == nil {
		return nil
	}
	var all []Hypothesis
	for _, o := range overlaps(runner) {
		failed := filter(v.failedWith(model.ConnectTimeout, model.Unreachable, model.DNSTimeout), func(r model.Result) bool {
			at, ok := v.attached(r.Place)
			c, known := v.control(r)
			return ok && at == o.bridge.Name && (!known || passed(c)) && v.lostIn(o, r)
		})
		same := func(h Hypothesis) bool { return slices.Equal(h.Explains, refsOf(failed)) }
		if len(failed) > 0 && !slices.ContainsFunc(all, same) {
			all = append(all, v.overlapping(runner, o, failed))
		}
	}
	return append(all, v.withNames(v.tell(CauseSubnetOverlap, v.around(v.covered)))...)
}

func (v *view) overlapping(runner *model.Facts, o overlap, failed []model.Result) Hypothesis {
	h := v.symptom(CauseSubnetOverlap, failed, fmt.Sprintf("%s and %s of the runner have networks that overlap (%s, %s)",
		o.bridge.Name, o.other.Name, v4Of(o.bridge), v4Of(o.other)))
	h.Finding.Evidence[0].Refs = append(slices.Clone(h.Finding.Evidence[0].Refs), model.FactsRef(v.runner(), factInterfaces))
	for _, p := range placesOf(failed) {
		w := v.watch(p)
		if w == nil {
			continue
		}
		if loss, ok := dropLoss(w); ok {
			e := lossEvidence(w, loss, fmt.Sprintf("while %s was probed, ", p))
			e.Text += ": they did not stay on the bridge"
			h.Contradictions = append(h.Contradictions, e)
		}
		if e, ok := v.seenLeaving(p, w, true); ok {
			h.Contradictions = append(h.Contradictions, e)
		}
	}
	if address, ok := freeNetwork(runner); ok && !v.dockerBridge(o.bridge.Name) && catalogue.Interface(o.bridge.Name) == nil {
		h.test(catalogue.Named(catalogue.BridgeSubnet, map[string]string{"bridge": o.bridge.Name, "address": address}), placesOf(failed)...)
	}
	return h
}

// lostIn reports whether what a failure waited for is by its address in an overlap: an
// address that was dialled, or the resolver.
func (v *view) lostIn(o overlap, r model.Result) bool {
	if r.Reason == model.DNSTimeout {
		f := v.facts(r.Place)
		return f != nil && slices.ContainsFunc(f.Resolvers, o.losesAnswersOf)
	}
	hosts := []string{hostOf(r.Target)}
	for _, d := range r.Detail.Dials {
		hosts = append(hosts, hostOf(d.Address))
	}
	return slices.ContainsFunc(hosts, o.holds)
}

// freeNetwork is an address in a private network of which the runner knows none,
// by its interfaces and its routes.
func freeNetwork(f *model.Facts) (string, bool) {
	var taken []netip.Prefix
	for _, i := range f.Interfaces {
		taken = append(taken, prefixes(i)...)
	}
	for _, r := range f.Routes {
		if p, err := netip.ParsePrefix(r.Destination); err == nil && p.Bits() > 0 {
			taken = append(taken, p)
		}
	}
	for third := range 256 {
		own := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 177, byte(third), 1}), 24)
		if !slices.ContainsFunc(taken, own.Overlaps) {
			return own.String(), true
		}
	}
	return "", false
}

// overlap is a bridge whose network is in part also that of another interface.
type overlap struct {
	bridge, other model.Interface
	// of and with are the two networks.
	of, with netip.Prefix
}

// holds reports whether an address is in both networks.
func (o overlap) holds(address string) bool {
	a, err := netip.ParseAddr(address)
	return err == nil && o.of.Contains(a) && o.with.Contains(a)
}

// losesAnswersOf reports whether a resolver's answers do not come back to the bridge:
// it is out there, or it is the bridge's own address, and the runner's way to the
// guests is not surely the bridge, as the other network is no larger.
func (o overlap) losesAnswersOf(resolver string) bool {
	own := o.of.Addr().String() == resolver
	return o.holds(resolver) && (!own || o.with.Bits() >= o.of.Bits())
}

// overlaps finds bridges whose networks are also those of other interfaces.
func overlaps(f *model.Facts) []overlap {
	var all []overlap
	for _, a := range f.Interfaces {
		for _, b := range f.Interfaces {
			if a.Type != "bridge" || a.Name == b.Name {
				continue
			}
			for _, x := range prefixes(a) {
				for _, y := range prefixes(b) {
					if x.Overlaps(y) {
						all = append(all, overlap{bridge: a, other: b, of: x, with: y})
					}
				}
			}
		}
	}
	return all
}

// prefixes are the IPv4 networks of an interface, loopback and link-local ones left out.
func prefixes(i model.Interface) []netip.Prefix {
	var all []netip.Prefix
	for _, s := range i.Addresses {
		p, err := netip.ParsePrefix(s)
		if err == nil && p.Addr().Is4() && !p.Addr().IsLoopback() && !p.Addr().IsLinkLocalUnicast() {
			all = append(all, p)
		}
	}
	return all
}

func v4Of(i model.Interface) string {
	var all []string
	for _, p := range prefixes(i) {
		all = append(all, p.String())
	}
	return join(all)
}
