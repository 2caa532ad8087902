package diagnose

import (
	"fmt"
	"net"
	"slices"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/remedy/catalogue"
)

// matchUpstreamBlocks rests on the hops: packets that left, answers that did not
// come. Without a watch on the uplink this can't be told from a drop on the runner.
func matchUpstreamBlocks(v *view) []Hypothesis {
	path := merged(v.notDropped(v.allSilentPaths()))
	var evidence, against []model.Evidence
	for _, p := range path.places {
		w := v.watch(p)
		if w == nil {
			continue
		}
		uplink, ok := w.Uplink()
		if !ok {
			continue
		}
		begin := fmt.Sprintf("while %s was probed, ", p)
		if loss, ok := dropLoss(w); ok {
			e := lossEvidence(w, loss, begin)
			e.Text += ", before the uplink"
			against = append(against, e)
			continue
		}
		if fate, ok := notLostBehind(uplink, v.openings(p, w)); ok {
			against = append(against, model.Evidence{Refs: []string{w.Ref()}, Text: begin + notLostText(fate, uplink.Interface)})
			continue
		}
		if refused := v.refusalsBehind(w); len(refused) > 0 {
			against = append(against, model.Evidence{Refs: []string{w.Ref()}, Text: fmt.Sprintf("%s%s came back by the uplink %s", begin, refused[0].Meaning(), uplink.Interface)})
			continue
		}
		evidence = append(evidence, lostBehind(w, uplink, begin))
	}
	if len(evidence)+len(against) == 0 {
		return nil
	}
	h := v.onPath(CauseUpstreamBlocks, path)
	h.Contradictions = append(v.pathContradictions(path), against...)
	v.contradictWay(&h, path.places)
	h.contradict(v.otherGuests(path), "other guests of the runner get answers by the same uplink")
	// A connection says more than a question to a resolver.
	slices.SortStableFunc(evidence, func(a, b model.Evidence) int { return rankKind(a.Loss.Kind) - rankKind(b.Loss.Kind) })
	h.Finding.Evidence = slices.Concat(evidence, v.pathEvidence(path))
	v.proxyRemedy(&h, path)
	return []Hypothesis{h}
}

// proxyRemedy has guests of one bridge go by a proxy on the runner: if what they
// ask for comes when the runner asks, and not when they do, it is what is behind
// the runner that tells them apart. Only HTTP and HTTPS can go that way.
func (v *view) proxyRemedy(h *Hypothesis, path silentPath) {
	remedy := catalogue.Named(catalogue.UserModeNetwork, nil)
	h.Finding.Remedy = &remedy
	for _, docker := range []bool{false, true} {
		for _, p := range path.places {
			bridge, ok := v.attached(p)
			address := v.addressOf(bridge)
			if !ok || address == "" || v.dockerBridge(bridge) != docker || catalogue.Interface(bridge) != nil {
				continue
			}
			behind := filter(path.places, func(x model.Place) bool {
				b, _ := v.attached(x)
				return b == bridge && x.Environment != model.EnvDindInner
			})
			proxied := func(r model.Result) bool {
				return (r.Probe == model.ProbeHTTP || r.Probe == model.ProbeHTTPS) && slices.Contains(behind, r.Place)
			}
			if !slices.ContainsFunc(path.silent, proxied) {
				continue
			}
			h.test(catalogue.Named(catalogue.ProxyOnBridge, map[string]string{"bridge": bridge}), behind...)
			h.Intervention.Proxy = "http://" + net.JoinHostPort(address, catalogue.ProxyPort)
			h.narrow(path.silent, proxied)
			return
		}
	}
}

// addressOf is the runner's own IPv4 address on a bridge.
func (v *view) addressOf(bridge string) string {
	for _, i := range v.facts(v.runner()).Interfaces {
		if found := prefixes(i); i.Name == bridge && len(found) > 0 {
			return found[0].Addr().String()
		}
	}
	return ""
}

// notDropped leaves out the paths whose packets fell on the runner, unless all did.
func (v *view) notDropped(paths []silentPath) []silentPath {
	left := filter(paths, func(path silentPath) bool {
		return !slices.ContainsFunc(path.places, func(p model.Place) bool {
			w := v.watch(p)
			return w != nil && len(dropsOf(w)) > 0
		})
	})
	if len(left) == 0 {
		return paths
	}
	return left
}

// openings are how many TCP SYNs of a place came to its bridge, 0 where that is
// not known.
func (v *view) openings(p model.Place, w *model.Watch) uint64 {
	bridge, _ := v.attached(p)
	inside, _ := w.Hop(bridge)
	return inside.Place.SYN
}

// notLostBehind returns what became of packets that cannot have been lost behind the
// runner; false where they may have been. Openings that were answered may be of anybody
// who tried the same targets in that time, where as many as came to the place's bridge
// were not.
func notLostBehind(uplink model.Hop, openings uint64) (model.Fate, bool) {
	flow := uplink.Runner
	if openings > 0 && flow.SYN >= flow.SYNACK+openings {
		flow.SYNACK = 0
	}
	switch {
	case uplink.Place.Out > 0:
		return model.NotTranslated, true
	case flow.SYNACK > 0 || flow.SYN == 0 && flow.DNSAnswers > 0 && flow.DNSAnswers >= flow.DNSQueries:
		return model.Answered, true
	case flow.SYN == 0 && flow.DNSQueries == 0:
		return model.Vanished, true
	}
	return "", false
}

func notLostText(f model.Fate, uplink string) string {
	switch f {
	case model.NotTranslated:
		return fmt.Sprintf("packets left on the uplink %s that were not translated", uplink)
	case model.Answered:
		return fmt.Sprintf("no unanswered packet of it was seen leaving on the uplink %s", uplink)
	default:
		return fmt.Sprintf("no packet of it was seen leaving on the uplink %s", uplink)
	}
}

// lostBehind is the evidence of packets that left and were not answered.
func lostBehind(w *model.Watch, uplink model.Hop, begin string) model.Evidence {
	loss := model.Loss{Point: model.PointUplink, Fate: model.NotAnswered, Kind: model.DNSQuery, Uplink: uplink.Interface}
	left := plural(int(uplink.Runner.DNSQueries), "DNS query", "DNS queries")
	if n := uplink.Runner.SYN - uplink.Runner.SYNACK; n > 0 {
		loss.Kind, left = model.TCPSYN, count(int(n), "TCP SYN")
	}
	return model.Evidence{Refs: []string{w.Ref()}, Loss: &loss, Text: fmt.Sprintf(
		"%s%s left on the uplink %s with the runner's address, and none was answered", begin, left, uplink.Interface)}
}

// rankKind orders kinds of packets by how much their loss says.
func rankKind(k model.PacketKind) int {
	return slices.Index([]model.PacketKind{model.AnyPacket, model.TCPSYN, model.DNSQuery}, k)
}

// otherGuests are answers that places behind the runner's bridges got which are
// not among those of the path.
func (v *view) otherGuests(path silentPath) []model.Result {
	return filter(v.base, func(r model.Result) bool {
		_, attached := v.attached(r.Place)
		return attached && !slices.Contains(path.places, r.Place) && r.Place.Environment != model.EnvDindInner &&
			tcpLike(r) && answered(r) && outside(r, v.facts(r.Place))
	})
}

// watchRefs are the watches of the places that a finding names.
func (v *view) watchRefs(f model.Finding) []string {
	var refs []string
	for _, p := range v.affected(f) {
		if w := v.watch(p); w != nil {
			refs = append(refs, w.Ref())
		}
	}
	return refs
}
