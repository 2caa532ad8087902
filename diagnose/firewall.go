package diagnose

import (
	"fmt"
	"slices"
	"strings"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/remedy/catalogue"
)

// The causes on the runner's own path that are not Docker's policy.
const (
	// CauseFirewallForwardDrop is a rule or a policy, not Docker's, that drops
	// what the runner forwards.
	CauseFirewallForwardDrop = "firewall-forward-drop"
	// CauseIPForwardOff is a runner that forwards nothing at all.
	CauseIPForwardOff = "ip-forward-off"
)

// fall is a rule or a policy that was seen to drop packets while a place was probed.
type fall struct {
	watch   *model.Watch
	chain   model.ForwardChain
	rule    model.DropRule // empty for a policy
	where   string
	packets uint64
}

func firewallForwardDrop() Rule {
	return Rule{
		Cause:    CauseFirewallForwardDrop,
		About:    "a firewall rule or policy on the runner, not Docker's, drops what it forwards",
		Remedies: []string{catalogue.FirewallForwardAccept, catalogue.ForwardAccept},
		match:    matchFirewallForwardDrop, summary: summarizeFirewallForwardDrop,
		excludes: excludedOnThePath,
	}
}

// matchFirewallForwardDrop rests on counters: that a rule is there shows nothing,
// that it matched packets while a place got no answers does. Bridges that lose
// their packets to the same rules are one finding.
func matchFirewallForwardDrop(v *view) []Hypothesis {
	groups := map[string][]silentPath{}
	var order []string
	for _, path := range v.allSilentPaths() {
		key, every := "", true
		for _, p := range path.places {
			falls := v.fallsOf(p, path)
			every = every && len(falls) > 0
			for _, f := range falls {
				if len(key) == 0 {
					key = f.where
				}
			}
		}
		if !every {
			continue
		}
		if groups[key] == nil {
			order = append(order, key)
		}
		groups[key] = append(groups[key], path)
	}
	var all []Hypothesis
	for _, key := range order {
		all = append(all, v.fallenTo(groups[key]))
	}
	return all
}

// fallsOf are the drops of a place's packets. A rule that is about names alone
// does not take connections: that is another cause.
func (v *view) fallsOf(p model.Place, path silentPath) []fall {
	named := !slices.ContainsFunc(path.silent, func(r model.Result) bool { return r.Place == p && r.Reason == model.ConnectTimeout })
	return filter(foreignFalls(v.watch(p)), func(f fall) bool { return !named || !dnsPort.MatchString(f.rule.Rule) })
}

func (v *view) fallenTo(paths []silentPath) Hypothesis {
	path := merged(paths)
	h := v.onPath(CauseFirewallForwardDrop, path)
	h.Finding.Evidence = v.pathEvidence(path)
	for _, one := range paths {
		h.Contradictions = append(h.Contradictions, v.pathContradictions(one)...)
	}
	var worst fall
	for _, p := range path.places {
		for _, f := range v.fallsOf(p, path) {
			h.Finding.Evidence = append(h.Finding.Evidence, model.Evidence{Refs: []string{f.watch.Ref()}, Says: fmt.Sprintf(
				"while %s was probed, %s fell to %s on the runner", p, count(int(f.packets), "packet"), f.where)})
			if f.packets > worst.packets {
				worst = f
			}
		}
	}
	h.Finding.Evidence = append(h.Finding.Evidence, v.hopEvidence(path.places)...)
	if remedy, ok := worst.remedy(paths[0].bridge); ok {
		h.test(remedy, path.places...)
	}
	return h
}

// remedy takes out what drops: the rule, or the policy of iptables' chain.
func (f fall) remedy(bridge string) (model.Remedy, bool) {
	switch {
	case f.rule.Rule == "" && f.chain.Backend != "nftables" && f.chain.Table == "filter" && f.chain.Family == "ip":
		return catalogue.Named(catalogue.ForwardAccept, nil), true
	case f.rule.Rule == "" || bridge == "" || f.chain.Backend == "iptables-legacy":
		return model.Remedy{}, false
	}
	return catalogue.Named(catalogue.FirewallForwardAccept, map[string]string{
		"bridge": bridge, "table": f.chain.Family + " " + f.chain.Table, "chain": f.rule.Chain,
	}), true
}

// foreignFalls are the drops of one watch that are not those of Docker's policy.
func foreignFalls(w *model.Watch) []fall {
	if w == nil {
		return nil
	}
	var all []fall
	for _, r := range w.PolicyRises() {
		if r.Chain.Family != "ip6" && r.Chain.Policy == "DROP" && !isDockerDrop(r.Chain) {
			all = append(all, fall{watch: w, chain: r.Chain, packets: r.Packets, where: fmt.Sprintf("the policy DROP of chain %s (%s, table %s)",
				r.Chain.Chain, r.Chain.Backend, r.Chain.Table)})
		}
	}
	before := dropCounts(w.Before)
	after := dropCounts(w.After)
	for _, c := range w.After {
		if c.Family == "ip6" {
			continue
		}
		for _, d := range c.Drops {
			k := dropKey(c, d)
			if catalogue.DockersOwn(c.Table, d.Chain) {
				continue
			}
			if old, seen := before[k]; seen && after[k] > old {
				all = append(all, fall{watch: w, chain: c, rule: d, packets: after[k] - old,
					where: fmt.Sprintf("the rule %q of chain %s (%s, table %s)", d.Rule, d.Chain, c.Backend, c.Table)})
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
	var falls []string
	for _, p := range v.affected(f) {
		for _, x := range foreignFalls(v.watch(p)) {
			falls = append(falls, fmt.Sprintf("while %s was probed, %s fell to %s", p, count(int(x.packets), "packet"), x.where))
		}
	}
	return fmt.Sprintf("What the runner forwards is dropped by its own firewall, not by Docker's policy: %s.%s",
		strings.Join(falls, "; "), proofText(f))
}
