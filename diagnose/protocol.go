// Package diagnose says why something does not work: from a run's facts,
// results and watches to causes, each with the evidence that it rests on, what
// contradicts it, and the one change that would decide. It is pure: whoever
// carries out the change probes again and asks Judge.
//
// The protocol is a loop: Next names a hypothesis, the caller makes its change,
// probes, takes it back, probes, and Judge says what came of it; Next then looks
// at what is not explained yet. Conclude sums up. It never guesses: what no rule
// fits is undetermined.
package diagnose

import (
	"fmt"
	"slices"

	"github.com/nestlab/nestlab/model"
)

// Rule knows one cause.
type Rule struct {
	Cause string
	// About says in one line what the cause is.
	About string
	// match makes the hypotheses that the observations suggest.
	match func(v *view) []Hypothesis
	// summary tells what a finding of this cause means, in plain sentences.
	summary func(v *view, f model.Finding) string
	// excludes lists the causes that can't be where this one is.
	excludes func(v *view, f model.Finding) []model.Refuted
	// absent says why the cause does not hold in a run where nothing failed; nil
	// where the observations do not show it.
	absent func(v *view) *model.Refuted
}

// Rules lists the rules, of two that explain the same the better one first.
func Rules() []Rule {
	return []Rule{dockerForwardDrop(), firewallForwardDrop(), ipForwardOff()}
}

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
}

// Intervention is the one change that decides about a hypothesis.
type Intervention struct {
	model.Intervention
	// Places are to be probed again with the change, and after it was taken back.
	Places []model.Place
}

// Stands reports whether nothing contradicts the hypothesis.
func (h Hypothesis) Stands() bool { return len(h.Contradictions) == 0 }

// Hypotheses lists what the observations suggest, the best first: what stands
// before what is contradicted, then what explains more.
func Hypotheses(run model.Run) []Hypothesis { return hypotheses(newView(run, nil)) }

func hypotheses(v *view) []Hypothesis {
	var all []Hypothesis
	for _, r := range Rules() {
		all = append(all, r.match(v)...)
	}
	slices.SortStableFunc(all, func(a, b Hypothesis) int {
		if a.Stands() != b.Stands() {
			if a.Stands() {
				return -1
			}
			return 1
		}
		return len(b.Explains) - len(a.Explains)
	})
	return all
}

// Next is the best hypothesis about what the findings so far leave unexplained,
// with names for its rounds that no earlier intervention has. It is false when
// there is no further one.
func Next(run model.Run, findings []model.Finding) (Hypothesis, bool) {
	for _, h := range hypotheses(newView(run, findings)) {
		if slices.ContainsFunc(findings, h.judged) {
			continue
		}
		if h.Intervention != nil {
			h.Intervention.Intervened, h.Intervention.Reverted = freeRounds(run)
		}
		return h, true
	}
	return Hypothesis{}, false
}

// judged reports whether f is what came of this hypothesis.
func (h Hypothesis) judged(f model.Finding) bool {
	if h.Finding.Cause != f.Cause {
		return false
	}
	if h.Finding.Remedy == nil || f.Remedy == nil {
		return true
	}
	return h.Finding.Remedy.Equal(*f.Remedy)
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

// ruleOf finds the rule of a cause.
func ruleOf(cause string) (Rule, bool) {
	rules := Rules()
	i := slices.IndexFunc(rules, func(r Rule) bool { return r.Cause == cause })
	if i < 0 {
		return Rule{}, false
	}
	return rules[i], true
}
