package diagnose

import (
	"fmt"
	"slices"
	"strings"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/remedy/catalogue"
)

// foreignDrop is a rule or a policy, not Docker's, that was seen to drop packets while
// a place was probed.
type foreignDrop struct {
	model.Drop
	watch *model.Watch
	base  model.ForwardChain // the chain on the hook, from which the rule is reached
}

// rule identifies the policy or rule, however many packets it dropped.
func (d foreignDrop) rule() model.Drop {
	rule := d.Drop
	rule.Packets = 0
	return rule
}

// matchFirewallForwardDrop rests on counters: that a rule is there shows nothing,
// that it matched packets while a place got no answers does. Bridges that lose
// their packets to the same rules are one finding.
func matchFirewallForwardDrop(v *view) []Hypothesis {
	groups := map[model.Drop][]silentPath{}
	var order []model.Drop
	for _, path := range v.allSilentPaths() {
		var all []foreignDrop
		every := true
		for _, p := range path.places {
			drops := v.dropsOfPlace(p, path)
			every = every && len(drops) > 0
			all = append(all, drops...)
		}
		if !every || len(all) == 0 {
			continue
		}
		key := all[0].rule()
		if groups[key] == nil {
			order = append(order, key)
		}
		groups[key] = append(groups[key], path)
	}
	var all []Hypothesis
	for _, key := range order {
		all = append(all, v.droppedBy(groups[key]))
	}
	return all
}

// dropsOfPlace lists the drops of a place's packets. A rule that is about names alone
// does not take connections: that is another cause.
func (v *view) dropsOfPlace(p model.Place, path silentPath) []foreignDrop {
	named := !slices.ContainsFunc(path.silent, func(r model.Result) bool { return r.Place == p && r.Reason == model.ConnectTimeout })
	return filter(foreignDrops(v.watch(p)), func(d foreignDrop) bool { return !named || !dnsPort.MatchString(d.Rule) })
}

func (v *view) droppedBy(paths []silentPath) Hypothesis {
	path := merged(paths)
	h := v.onPath(CauseFirewallForwardDrop, path)
	h.Finding.Evidence = v.pathEvidence(path)
	for _, one := range paths {
		h.Contradictions = append(h.Contradictions, v.pathContradictions(one)...)
	}
	var worst foreignDrop
	for _, p := range path.places {
		for _, d := range v.dropsOfPlace(p, path) {
			e := lossEvidence(d.watch, d.loss(), fmt.Sprintf("while %s was probed, ", p))
			e.Text += " on the runner"
			h.Finding.Evidence = append(h.Finding.Evidence, e)
			if d.Packets > worst.Packets {
				worst = d
			}
		}
	}
	h.Finding.Evidence = append(h.Finding.Evidence, v.hopEvidence(path.places)...)
	if remedy, ok := worst.remedy(paths[0].bridge); ok {
		h.test(remedy, path.places...)
	}
	return h
}

// loss returns the loss of what this one dropped.
func (d foreignDrop) loss() model.Loss {
	return model.Loss{Point: model.PointForward, Fate: model.Dropped, Kind: model.AnyPacket, Drops: []model.Drop{d.Drop}}
}

// remedy takes out what drops: the rule, or the policy of iptables' chain.
func (d foreignDrop) remedy(bridge string) (model.Remedy, bool) {
	switch {
	case d.Rule == "" && d.base.Backend != "nftables" && d.base.Table == "filter" && d.base.Family == "ip":
		return catalogue.Named(catalogue.ForwardAccept, nil), true
	case d.Rule == "" || bridge == "" || d.base.Backend == "iptables-legacy":
		return model.Remedy{}, false
	}
	return catalogue.Named(catalogue.FirewallForwardAccept, map[string]string{
		"bridge": bridge, "table": d.base.Family + " " + d.base.Table, "chain": d.Chain,
	}), true
}

// dropByPolicy is what a policy was seen to drop.
func dropByPolicy(r model.Rise) model.Drop {
	c := r.Chain
	return model.Drop{Backend: c.Backend, Family: c.Family, Table: c.Table, Chain: c.Chain, Docker: isDockerDrop(c), Packets: r.Packets}
}

// foreignDrops lists the drops of one watch that are not those of Docker's policy.
func foreignDrops(w *model.Watch) []foreignDrop {
	if w == nil {
		return nil
	}
	var all []foreignDrop
	// Where packets were followed, what else was counted is of packets that nobody misses.
	told := func(backend string) bool { return w.Sightings.Followed() && backend != "iptables-legacy" }
	for _, r := range w.PolicyRises() {
		if told(r.Chain.Backend) {
			continue
		}
		if r.Chain.Family != "ip6" && r.Chain.Policy == "DROP" && !isDockerDrop(r.Chain) {
			all = append(all, foreignDrop{Drop: dropByPolicy(r), watch: w, base: r.Chain})
		}
	}
	before := dropCounts(w.Before)
	after := dropCounts(w.After)
	for _, c := range w.After {
		if c.Family == "ip6" || told(c.Backend) {
			continue
		}
		for _, d := range c.Drops {
			k := dropKey(c, d)
			if catalogue.DockersOwn(c.Table, d.Chain) {
				continue
			}
			if old, seen := before[k]; seen && after[k] > old {
				all = append(all, foreignDrop{watch: w, base: c, Drop: model.Drop{
					Backend: c.Backend, Family: c.Family, Table: c.Table, Chain: d.Chain, Rule: d.Rule, Packets: after[k] - old,
				}})
				before[k] = after[k] // of equal rules the sum is told once
			}
		}
	}
	return all
}

// dropCounts are the packets of each rule that drops; equal rules are one.
func dropCounts(chains []model.ForwardChain) map[string]uint64 {
	counts := map[string]uint64{}
	for _, c := range chains {
		for _, d := range c.Drops {
			counts[dropKey(c, d)] += d.Packets
		}
	}
	return counts
}

func dropKey(c model.ForwardChain, d model.DropRule) string {
	return strings.Join([]string{c.Backend, c.Family, c.Table, c.Chain, d.Chain, d.Rule}, "\x00")
}

// onPath is a hypothesis about everything that is silent behind one bridge.
func (v *view) onPath(cause string, path silentPath) Hypothesis {
	h := Hypothesis{Finding: model.Finding{Cause: cause, Confidence: model.Supported, Evidence: []model.Evidence{}}}
	for _, p := range path.places {
		h.Finding.Environments = append(h.Finding.Environments, p.String())
	}
	h.Explains, h.Follows = refsOf(path.silent), refsOf(v.dependents(path.places))
	return h
}

func summarizeFirewallForwardDrop(v *view, f model.Finding) string {
	var drops []string
	for _, p := range v.affected(f) {
		for _, d := range foreignDrops(v.watch(p)) {
			drops = append(drops, fmt.Sprintf("while %s was probed, %s", p, lossText(d.loss())))
		}
	}
	return fmt.Sprintf("What the runner forwards is dropped by its own firewall, not by Docker's policy: %s.%s",
		strings.Join(drops, "; "), proofText(f))
}
