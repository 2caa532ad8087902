package diagnose

import (
	"fmt"
	"slices"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/remedy/catalogue"
)

// matchDockerForwardDrop makes a hypothesis for each bridge behind which
// connections that the runner can make get no answer.
func matchDockerForwardDrop(v *view) []Hypothesis {
	runner := v.facts(v.runner())
	if runner == nil || len(runner.Forward) == 0 {
		return nil // what forwarding does is not known: nothing to say
	}
	var all []Hypothesis
	for _, path := range v.silentPaths() {
		h := Hypothesis{Finding: model.Finding{Cause: CauseDockerForwardDrop, Evidence: []model.Evidence{}}}
		for _, p := range path.places {
			h.Finding.Environments = append(h.Finding.Environments, p.String())
		}
		h.Explains = refsOf(path.silent)
		h.Follows = refsOf(v.dependents(path.places))
		h.Contradictions = slices.Concat(
			v.policyContradictions(runner), v.pathContradictions(path), v.counterContradictions(path))
		if path.bridge != "" {
			remedy := dockerUserAccept(path.bridge)
			h.Finding.Remedy = &remedy
		}
		if h.Stands() {
			h.Finding.Confidence = model.Supported
			h.Finding.Evidence = v.dockerEvidence(path, runner)
			if h.Finding.Remedy != nil {
				h.Intervention = &Intervention{
					Intervention: model.Intervention{
						Cause: CauseDockerForwardDrop, Remedy: *h.Finding.Remedy,
						Intervened: model.RoundIntervened, Reverted: model.RoundReverted,
					},
					Places: path.places,
				}
			}
		}
		all = append(all, h)
	}
	return all
}

// dockerChain is Docker's forward chain with the policy DROP.
func dockerChain(f *model.Facts) (model.ForwardChain, bool) {
	for _, c := range f.Forward {
		if c.Family == "ip" && c.Policy == "DROP" && c.DockerUser {
			return c, true
		}
	}
	return model.ForwardChain{}, false
}

func (v *view) policyContradictions(runner *model.Facts) []model.Evidence {
	refs := []string{model.FactsRef(v.runner(), factForward)}
	var all []model.Evidence
	if _, ok := dockerChain(runner); !ok {
		says := "no forward chain of the runner with a DOCKER-USER chain has the policy DROP"
		if !slices.ContainsFunc(runner.Forward, func(c model.ForwardChain) bool { return c.Policy == "DROP" }) {
			says = "the policy of the runner's FORWARD chain is ACCEPT"
		}
		all = append(all, model.Evidence{Refs: refs, Text: says})
	}
	if on, known := v.forwards(); known && !on {
		all = append(all, model.Evidence{
			Refs: []string{model.FactsRef(v.runner(), factIPForward)},
			Text: "ip_forward is off on the runner: nothing gets as far as the FORWARD chain",
		})
	}
	return all
}

// counterContradictions: a policy that drops counts what it drops.
func (v *view) counterContradictions(path silentPath) []model.Evidence {
	var all []model.Evidence
	for _, p := range path.places {
		w := v.watch(p)
		if w == nil {
			continue
		}
		_, fell := dockerRise(w)
		if e, ok := v.seenLeaving(p, w, fell); ok {
			all = append(all, e)
		}
		if !fell && stoodStill(w) {
			all = append(all, model.Evidence{
				Refs: []string{w.Ref()},
				Text: fmt.Sprintf("the counter of the FORWARD policy stood still while %s was probed", p),
			})
		}
	}
	return all
}

// stoodStill reports whether Docker's policy was read before and after, and
// counted nothing between. A counter that was set back says nothing.
func stoodStill(w *model.Watch) bool {
	return slices.ContainsFunc(w.After, func(after model.ForwardChain) bool {
		return isDockerDrop(after) && slices.ContainsFunc(w.Before, func(before model.ForwardChain) bool {
			return isDockerDrop(before) && before.Backend == after.Backend && before.Table == after.Table &&
				before.Chain == after.Chain && before.Packets == after.Packets
		})
	})
}

func isDockerDrop(c model.ForwardChain) bool {
	return c.Family == "ip" && c.Policy == "DROP" && c.DockerUser
}

// dockerRise is how many packets Docker's policy dropped during a watch. The
// same chain may be seen through two tools: the larger figure is taken.
func dockerRise(w *model.Watch) (model.Rise, bool) {
	var most model.Rise
	for _, r := range w.PolicyRises() {
		if isDockerDrop(r.Chain) && r.Packets > most.Packets && (!w.Sightings.Followed() || dockerSeen(w)) {
			most = r
		}
	}
	return most, most.Packets > 0
}

// dockerSeen reports whether packets were followed to the policy of a FORWARD chain.
func dockerSeen(w *model.Watch) bool {
	return slices.ContainsFunc(w.Sightings.Drops, func(s model.Sighting) bool {
		return s.Rule != nil && s.Rule.Handle == 0 && s.Rule.Chain == "FORWARD" && s.Rule.Table == "filter"
	})
}

func (v *view) dockerEvidence(path silentPath, runner *model.Facts) []model.Evidence {
	evidence := v.pathEvidence(path)
	chain, _ := dockerChain(runner)
	says := fmt.Sprintf("on the runner the policy of %s's FORWARD chain is DROP, alongside Docker's DOCKER-USER chain", chain.Backend)
	refs := []string{model.FactsRef(v.runner(), factForward)}
	if d := runner.Docker; d != nil {
		refs = append(refs, model.FactsRef(v.runner(), factDocker))
		if d.Version != "" {
			says += fmt.Sprintf(", and dockerd %s runs there", d.Version)
		}
	}
	if runner.IPForward != nil {
		refs = append(refs, model.FactsRef(v.runner(), factIPForward))
		says += "; ip_forward is on"
	}
	evidence = append(evidence, model.Evidence{Refs: refs, Text: says})
	for _, p := range path.places {
		w := v.watch(p)
		if w == nil {
			continue
		}
		if rise, ok := dockerRise(w); ok {
			loss := model.Loss{Point: model.PointForward, Fate: model.Dropped, Kind: model.AnyPacket, Drops: []model.Drop{dropByPolicy(rise)}}
			evidence = append(evidence, model.Evidence{Refs: []string{w.Ref()}, Loss: &loss, Text: fmt.Sprintf(
				"while %s was probed, %s by that policy", p, dropped(rise.Packets))})
		}
	}
	return append(evidence, v.hopEvidence(path.places)...)
}

// dockerUserAccept is the remedy for one bridge.
func dockerUserAccept(bridge string) model.Remedy {
	return catalogue.Named(catalogue.DockerUserAccept, map[string]string{"bridge": bridge})
}

// noDockerForwardDrop says why a healthy run does not have the cause.
func noDockerForwardDrop(v *view) *model.Refuted {
	runner := v.facts(v.runner())
	if runner == nil || len(runner.Forward) == 0 {
		return nil
	}
	if slices.ContainsFunc(runner.Forward, func(c model.ForwardChain) bool { return c.Policy == "DROP" }) {
		return nil
	}
	return &model.Refuted{
		Cause: CauseDockerForwardDrop, Why: "the policy of the runner's FORWARD chain is ACCEPT",
		Refs: []string{model.FactsRef(v.runner(), factForward)},
	}
}

// hasDocker reports whether the runner has a Docker: its socket, its rules or its containers.
// It is true where the runner was not looked at.
func (v *view) hasDocker() bool {
	f := v.facts(v.runner())
	return f == nil || f.Docker != nil ||
		slices.ContainsFunc(f.Forward, func(c model.ForwardChain) bool { return c.DockerUser }) ||
		slices.ContainsFunc(v.places(), func(p model.Place) bool {
			return slices.Contains([]string{model.EnvContainer, model.EnvDind, model.EnvDindInner}, p.Environment)
		})
}
