// Package diagnose says why something does not work: from a run's facts,
// results and watches to causes, each with the evidence that it rests on, what
// contradicts it, and the one change that would decide. It is pure: whoever
// carries out the change probes again and asks Judge.
//
// The protocol is a loop: Next names a hypothesis, the caller makes its change,
// probes, reverts it, probes, and Judge says what came of it; Next then looks
// at what is not explained yet. Conclude sums up. It never guesses: what no rule
// fits is undetermined.
package diagnose

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/nestlab/nestlab/model"
)

// Hypothesis is a cause that the observations suggest.
type Hypothesis struct {
	// Finding is what it comes to, with the evidence for it.
	Finding model.Finding
	// Explains are the references of the failing results that have to follow the
	// intervention.
	Explains []string
	// Follows are those of failing results that are a consequence.
	Follows []string
	// Contradictions speak against it; with any of them it does not stand.
	Contradictions []model.Evidence
	// Intervention would decide; nil where none is known or none is worth making.
	Intervention *Intervention
	// seen is what packets were seen to end by; nil for what is inferred.
	seen *model.Sighting
	// round is the one that was looked at.
	round string
	// told says that senders are told of the end, which the kernel does not do each time.
	told bool
	// asked says that it was observed by asking: what helps leads around it, and refutes nothing.
	asked bool
	// onceTried says that the remedy is none unless all passed with it.
	onceTried bool
	// unnamed says that it is for what no other hypothesis explains.
	unnamed bool
}

// places are those whose results it explains.
func (h Hypothesis) places(run model.Run) []model.Place {
	var places []model.Place
	explains := set(h.Explains)
	for _, r := range run.Results {
		if explains[r.Ref()] {
			places = append(places, r.Place)
		}
	}
	return unique(places)
}

// Intervention is the one change that decides about a hypothesis.
type Intervention struct {
	model.Intervention
	// Places are to be probed again with the change, and after it was reverted.
	Places []model.Place
	// Restart is set where they have no address, and ask for one only when they restart.
	Restart bool
	// Strangers is set where neighbours that were found with the change would be known after it:
	// those places that can restart.
	Strangers bool
	// Proxy is the URL of what the probes have to go by meanwhile; empty for nothing.
	Proxy string
}

// Stands reports whether nothing contradicts the hypothesis.
func (h Hypothesis) Stands() bool { return len(h.Contradictions) == 0 }

// hypotheses lists what the observations suggest, the best first: what stands
// before what is contradicted, then what explains more, then what was seen before what
// is inferred.
func hypotheses(v *view) []Hypothesis {
	seen := v.seenHypotheses()
	all := slices.Clone(seen)
	for _, r := range rules {
		if r.match == nil {
			continue
		}
		for _, h := range r.match(v) {
			if v.yields(&h, r.layer, seen) {
				all = append(all, h)
			}
		}
	}
	for i := range all {
		rule, _ := findRule(all[i].Finding.Cause)
		all[i].round, all[i].Finding.Title = v.round, cmp.Or(all[i].Finding.Title, rule.Title)
	}
	slices.SortStableFunc(all, func(a, b Hypothesis) int {
		if a.Stands() != b.Stands() {
			if a.Stands() {
				return -1
			}
			return 1
		}
		if a.unnamed != b.unnamed {
			if b.unnamed {
				return -1
			}
			return 1
		}
		return len(b.Explains) - len(a.Explains)
	})
	return all
}

// Next is the best hypothesis about what the findings so far leave unexplained,
// with names for its rounds that no earlier intervention has. Where a remedy
// took away one loss and showed another behind it, the next hypothesis is about
// what fails with that remedy in place. It is false when there is no further one.
func Next(run model.Run, findings []model.Finding) (Hypothesis, bool) {
	v := newView(run, findings)
	for _, h := range hypotheses(v) {
		if slices.ContainsFunc(findings, h.judged) {
			continue
		}
		if behind, made, ok := v.behindProven(h, findings); ok {
			return behind.withRounds(run, &made), true
		}
		return h.withRounds(run, nil), true
	}
	for _, f := range slices.Backward(findings) {
		made, ok := helped(run, f)
		if !ok {
			continue
		}
		for _, h := range hypotheses(v.under(made, f.Confidence)) {
			settled := func(f model.Finding) bool { return h.settled(f, made) }
			// What a cured cause left has not changed: only a test says more of it.
			if f.Confidence == model.Proven && h.Intervention == nil {
				continue
			}
			if h.Stands() && !h.judged(f) && !slices.ContainsFunc(findings, settled) {
				h = h.withRounds(run, &made)
				// An address that they have by the remedies under it goes with those.
				if h.Intervention != nil && slices.ContainsFunc(h.Intervention.Places, newView(run, nil).addressless) {
					h.Intervention.Restart = true
				}
				return h, true
			}
		}
	}
	return Hypothesis{}, false
}

// behindProven is a hypothesis as it shows with the change that proved another cause for
// the same places, where that change left it as it was: with both changes what it explains
// has nothing else to fail by.
func (v *view) behindProven(h Hypothesis, findings []model.Finding) (Hypothesis, model.Intervention, bool) {
	if _, made := madeFor(h, v.run); made || h.Intervention == nil || !h.Stands() {
		return h, model.Intervention{}, false
	}
	for _, f := range slices.Backward(findings) {
		made, ok := helped(v.run, f)
		if !ok || f.Confidence != model.Proven {
			continue
		}
		probed := placesOf(round(v.run, made.Intervened))
		if slices.ContainsFunc(h.Intervention.Places, func(p model.Place) bool { return !slices.Contains(probed, p) }) {
			continue
		}
		for _, behind := range hypotheses(v.under(made, f.Confidence)) {
			if behind.Stands() && behind.Finding.Cause == h.Finding.Cause && behind.Intervention != nil && behind.Intervention.Remedy.Equal(h.Intervention.Remedy) {
				return behind, made, true
			}
		}
	}
	return h, model.Intervention{}, false
}

// helped is the intervention of a finding that cured something, or showed what is
// behind it.
func helped(run model.Run, f model.Finding) (model.Intervention, bool) {
	if f.Proof == nil || f.Confidence == model.RuledOut {
		return model.Intervention{}, false
	}
	for _, i := range run.Interventions {
		if i.Cause == f.Cause && i.Remedy.Equal(f.Proof.Remedy) && i.From() == testedFrom(f) {
			return i, len(round(run, i.Intervened)) > 0
		}
	}
	return model.Intervention{}, false
}

// testedFrom is the round that a finding's proof starts from.
func testedFrom(f model.Finding) string {
	if f.Proof == nil || len(f.Proof.Rounds) == 0 {
		return ""
	}
	return f.Proof.Rounds[0].Name
}

// withRounds names the rounds of the intervention, and what it is made under.
func (h Hypothesis) withRounds(run model.Run, behind *model.Intervention) Hypothesis {
	if h.Intervention == nil {
		return h
	}
	h.Intervention.Intervened, h.Intervention.Reverted = freeRounds(run)
	if behind != nil {
		h.Intervention.Base = behind.Intervened
		h.Intervention.Under = append(slices.Clone(behind.Under), behind.Remedy)
	}
	return h
}

// judged reports whether f is what came of this hypothesis.
func (h Hypothesis) judged(f model.Finding) bool {
	if h.Finding.Cause != f.Cause {
		return false
	}
	if h.Finding.Remedy == nil && f.Remedy == nil && f.Confidence == model.Supported {
		return slices.Equal(h.Finding.Environments, f.Environments) // another place may have it for itself
	}
	if h.Finding.Remedy != nil && f.Remedy == nil && f.Confidence == model.Supported && !slices.Equal(h.Finding.Environments, f.Environments) {
		return false // here it can be tested
	}
	if h.Finding.Remedy == nil || f.Remedy == nil {
		return true
	}
	return h.Finding.Remedy.Equal(*f.Remedy)
}

// settled reports the same of a hypothesis about what a remedy has left: what
// contradicted it before says nothing now, nor does a test without that remedy.
func (h Hypothesis) settled(f model.Finding, behind model.Intervention) bool {
	return h.judged(f) && (f.Confidence != model.RuledOut || testedFrom(f) == behind.Intervened)
}

// freeRounds are names of rounds that the run has no intervention for yet.
func freeRounds(run model.Run) (intervened, reverted string) {
	n := len(run.Interventions)
	if n == 0 {
		return model.RoundIntervened, model.RoundReverted
	}
	return fmt.Sprintf("%s-%d", model.RoundIntervened, n+1), fmt.Sprintf("%s-%d", model.RoundReverted, n+1)
}

// Diagnose judges every hypothesis by what the run holds, one after the other,
// and sums up.
func Diagnose(run model.Run) model.Diagnosis {
	var findings []model.Finding
	for {
		h, more := Next(run, findings)
		if !more {
			return Conclude(run, findings)
		}
		findings = append(findings, Judge(h, run))
	}
}
