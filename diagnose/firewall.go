package diagnose

import (
	"fmt"
	"slices"
	"strings"

	"github.com/nestlab/nestlab/model"
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
	where   string
	packets uint64
}

func firewallForwardDrop() Rule {
	return Rule{
		Cause: CauseFirewallForwardDrop,
		About: "a firewall rule or policy on the runner, not Docker's, drops what it forwards",
		match: matchFirewallForwardDrop, summary: summarizeFirewallForwardDrop,
		excludes: excludedOnThePath,
	}
}

// matchFirewallForwardDrop rests on counters: that a rule is there shows nothing,
// that it matched packets while a place got no answers does.
func matchFirewallForwardDrop(v *view) []Hypothesis {
	var all []Hypothesis
	for _, path := range v.silentPaths() {
		var evidence []model.Evidence
		places := 0
		for _, p := range path.places {
			falls := foreignFalls(v.watch(p))
			if len(falls) > 0 {
				places++
			}
			for _, f := range falls {
				evidence = append(evidence, model.Evidence{Refs: []string{f.watch.Ref()}, Says: fmt.Sprintf(
					"while %s was probed, %s fell to %s on the runner", p, count(int(f.packets), "packet"), f.where)})
			}
		}
		if places < len(path.places) {
			continue
		}
		h := v.onPath(CauseFirewallForwardDrop, path)
		h.Contradictions = v.pathContradictions(path)
		h.Finding.Evidence = append(v.pathEvidence(path), evidence...)
		all = append(all, h)
	}
	return all
}

// foreignFalls are the drops of one watch that are not those of Docker's policy.
func foreignFalls(w *model.Watch) []fall {
	if w == nil {
		return nil
	}
	var all []fall
	for _, r := range w.PolicyRises() {
		if r.Chain.Family != "ip6" && r.Chain.Policy == "DROP" && !isDockerDrop(r.Chain) {
			all = append(all, fall{w, fmt.Sprintf("the policy DROP of chain %s (%s, table %s)",
				r.Chain.Chain, r.Chain.Backend, r.Chain.Table), r.Packets})
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
			if dockersOwn(d.Chain) {
				continue
			}
			if old, seen := before[k]; seen && after[k] > old {
				all = append(all, fall{w, fmt.Sprintf("the rule %q of chain %s (%s, table %s)", d.Rule, d.Chain, c.Backend, c.Table), after[k] - old})
				before[k] = after[k] // of equal rules the sum is told once
			}
		}
	}
	return all
}

// dockersOwn reports whether Docker writes the rules of a chain itself; those of
// DOCKER-USER are the user's.
func dockersOwn(chain string) bool {
	return strings.HasPrefix(chain, "DOCKER") && chain != "DOCKER-USER"
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

func ipForwardOff() Rule {
	return Rule{
		Cause: CauseIPForwardOff,
		About: "ip_forward is off on the runner: it forwards nothing",
		match: matchIPForwardOff, summary: summarizeIPForwardOff, absent: noIPForwardOff,
	}
}

func matchIPForwardOff(v *view) []Hypothesis {
	runner := v.facts(v.runner())
	if runner == nil || runner.IPForward == nil || *runner.IPForward {
		return nil
	}
	ref := model.FactsRef(v.runner(), factIPForward)
	var all []Hypothesis
	for _, path := range v.silentPaths() {
		h := v.onPath(CauseIPForwardOff, path)
		h.Contradictions = slices.Concat(v.pathContradictions(path), v.forwardedAllTheSame(path))
		h.Finding.Evidence = append(v.pathEvidence(path), model.Evidence{Refs: []string{ref}, Says: "ip_forward is off on the runner"})
		h.Finding.Remedy = &model.Remedy{
			Name: "ip-forward-on", Commands: []string{"sysctl -w net.ipv4.ip_forward=1"},
			Why: "It lets the runner forward again, between all of its interfaces. It does not outlive a reboot.",
		}
		all = append(all, h)
	}
	return all
}

// forwardedAllTheSame: what is not forwarded does not reach a forward chain.
func (v *view) forwardedAllTheSame(path silentPath) []model.Evidence {
	var all []model.Evidence
	for _, p := range path.places {
		w := v.watch(p)
		if w == nil {
			continue
		}
		if _, rose := dockerRise(w); rose || len(foreignFalls(w)) > 0 {
			all = append(all, model.Evidence{Refs: []string{w.Ref()},
				Says: fmt.Sprintf("packets reached the runner's forward chains while %s was probed", p)})
		}
	}
	return all
}

func summarizeIPForwardOff(v *view, f model.Finding) string {
	return fmt.Sprintf("ip_forward is off on the runner, so that it forwards nothing for %s.%s", placesText(v.affected(f)), proofText(f))
}

func noIPForwardOff(v *view) *model.Refuted {
	runner := v.facts(v.runner())
	if runner == nil || runner.IPForward == nil || !*runner.IPForward {
		return nil
	}
	return &model.Refuted{Cause: CauseIPForwardOff, Why: "ip_forward is on on the runner",
		Refs: []string{model.FactsRef(v.runner(), factIPForward)}}
}
