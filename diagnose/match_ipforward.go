package diagnose

import (
	"fmt"
	"slices"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/remedy/catalogue"
)

func matchIPForwardOff(v *view) []Hypothesis {
	if on, known := v.forwards(); !known || on {
		return nil
	}
	ref := model.FactsRef(v.runner(), factIPForward)
	path := merged(v.allSilentPaths())
	if len(path.places) == 0 {
		return nil
	}
	h := v.onPath(CauseIPForwardOff, path)
	h.Contradictions = slices.Concat(v.pathContradictions(path), v.forwardedAllTheSame(path))
	h.contradict(v.otherGuests(path), "other guests of the runner get answers")
	h.Finding.Evidence = slices.Concat([]model.Evidence{{Refs: []string{ref}, Text: "ip_forward is off on the runner"}},
		v.pathEvidence(path), v.hopEvidence(path.places))
	h.test(catalogue.Named(catalogue.IPForwardOn, nil), path.places...)
	return []Hypothesis{h}
}

// forwardedAllTheSame: what is not forwarded does not reach a forward chain.
func (v *view) forwardedAllTheSame(path silentPath) []model.Evidence {
	var all []model.Evidence
	for _, p := range path.places {
		w := v.watch(p)
		if w == nil {
			continue
		}
		if _, rose := dockerRise(w); rose || len(foreignDrops(w)) > 0 {
			all = append(all, model.Evidence{Refs: []string{w.Ref()},
				Text: fmt.Sprintf("packets reached the runner's forward chains while %s was probed", p)})
		}
		// That ip_forward is off was read, as a counter is.
		if e, ok := v.seenLeaving(p, w, true); ok {
			all = append(all, e)
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
