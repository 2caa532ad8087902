package diagnose

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/remedy/catalogue"
)

// matchNATOff: packets of bridges that are not Docker's, or IPv6 packets, left as they were.
func matchNATOff(v *view) []Hypothesis {
	return append(v.untranslated(CauseNATOff, false), v.tell(CauseNATOff, v.around(v.untranslatedSix))...)
}

// untranslated makes a hypothesis for each bridge whose packets were seen on
// the uplink with their own addresses: Docker's bridges are dockerd's to translate.
func (v *view) untranslated(cause string, docker bool) []Hypothesis {
	var all []Hypothesis
	for _, path := range v.allSilentPaths() {
		setting, told := v.notMasquerading(path.bridge)
		if v.dockerBridge(path.bridge) != docker || docker && told != (cause == CauseDockerdSetting) {
			continue
		}
		var evidence, against []model.Evidence
		for _, p := range path.places {
			w := v.watch(p)
			if w == nil {
				continue
			}
			uplink, ok := w.Uplink()
			switch {
			case !ok:
			case uplink.Place.Out > 0:
				loss := model.Loss{Point: model.PointUplink, Fate: model.NotTranslated, Kind: model.AnyPacket, Uplink: uplink.Interface}
				evidence = append(evidence, model.Evidence{Refs: []string{w.Ref()}, Loss: &loss, Text: fmt.Sprintf(
					"while %s was probed, %s left on the uplink %s with its own address, and %s came back",
					p, count(int(uplink.Place.Out), "packet"), uplink.Interface, count(int(uplink.Place.Back), "packet"))})
			default:
				against = append(against, model.Evidence{Refs: []string{w.Ref()}, Text: fmt.Sprintf(
					"no packet with the address of %s was seen on the uplink %s", p, uplink.Interface)})
			}
		}
		if len(evidence)+len(against) == 0 {
			continue // the uplink was not watched: nothing to say
		}
		h := v.onPath(cause, path)
		h.Contradictions = slices.Concat(v.pathContradictions(path), against, v.exempted(path))
		h.Finding.Evidence = append(evidence, v.pathEvidence(path)...)
		if told && docker {
			h.Finding.Evidence = slices.Insert(h.Finding.Evidence, 0, model.Evidence{Refs: []string{model.FactsRef(v.runner(), factEngine)}, Text: fmt.Sprintf(
				"%s has dockerd make no MASQUERADE rule for %s, so that packets of its containers are not translated: leave it out, or translate them by a rule of your own", settingText(setting), path.bridge)})
			h.named(setting)
		}
		if remedy, ok := v.natRemedy(path.bridge, path.places[0]); ok {
			h.test(remedy, path.places...)
		}
		all = append(all, h)
	}
	return all
}

// untranslatedSix: a place's IPv6 packets to a site left with its private address, and were
// not answered, while the runner's own to the same were.
func (v *view) untranslatedSix(p model.Place, s *model.Sightings, lost []model.Result) (told, bool) {
	for _, u := range s.Untranslated {
		to := map[netip.AddrPort]bool{u.Destination: true}
		reached := slices.ContainsFunc(v.of(v.runner()), func(r model.Result) bool { return connectedTo(r, to) })
		mine := filter(lost, func(r model.Result) bool { return len(r.Detail.Dials) > 0 && v.lostTo(r, to) && allIPv6(r) })
		if _, attached := v.attached(p); !attached || !reached || len(mine) == 0 {
			continue
		}
		return told{results: mine, text: fmt.Sprintf("while %s was probed, IPv6 packets to %s left on %s with the private address %s, which nobody there can answer; the runner's own are answered (a rule for it: `ip6tables -t nat -A POSTROUTING -s %s -o %s -j MASQUERADE`)",
			p, u.Destination.Addr(), u.Interface, u.Source, v.networkOf(p, u.Source), u.Interface)}, true
	}
	return told{}, false
}

// networkOf is the network of the runner's bridge that a place's address is of, or that address.
func (v *view) networkOf(p model.Place, a netip.Addr) string {
	bridge, _ := v.attached(p)
	at, _ := v.interfaceOf(bridge)
	for _, n := range networks(&model.Facts{Interfaces: []model.Interface{at}}) {
		if n.Contains(a) {
			return n.Masked().String()
		}
	}
	return a.String()
}

// exempted is what lets packets out of a chain that translates: the rules are there.
func (v *view) exempted(path silentPath) []model.Evidence {
	var all []model.Evidence
	for _, k := range v.killers() {
		for i, p := range k.places {
			if k.Fate == model.Exempted && slices.Contains(path.places, p) {
				all = append(all, lossEvidence(k.watches[i], k.lossAt(p), fmt.Sprintf("while %s was probed, ", p)))
			}
		}
	}
	return all
}

// natRemedy translates the network of a bridge where the packets of a place on it leave.
func (v *view) natRemedy(bridge string, of model.Place) (model.Remedy, bool) {
	runner := v.facts(v.runner())
	i := slices.IndexFunc(runner.Interfaces, func(i model.Interface) bool { return i.Name == bridge })
	if i < 0 {
		return model.Remedy{}, false
	}
	for _, a := range runner.Interfaces[i].Addresses {
		if p, err := netip.ParsePrefix(a); err == nil && p.Addr().Is4() {
			parameters := map[string]string{"subnet": p.Masked().String()}
			if uplink := v.wayOut(of); uplink != "" {
				parameters["out"] = uplink
			}
			return catalogue.Named(catalogue.NATOn, parameters), true
		}
	}
	return model.Remedy{}, false
}

// wayOut is the interface that a place's packets leave the runner by.
func (v *view) wayOut(p model.Place) string {
	if w := v.watch(p); w != nil {
		if uplink, ok := w.Uplink(); ok {
			return uplink.Interface
		}
	}
	if runner := v.facts(v.runner()); runner != nil {
		return uplinkOf(runner)
	}
	return ""
}

// uplinkOf is the device of the IPv4 default route.
func uplinkOf(f *model.Facts) string {
	for _, r := range f.Routes {
		if a, err := netip.ParseAddr(r.Gateway); r.Destination == "default" && (err != nil || a.Is4()) {
			return r.Device
		}
	}
	return ""
}
