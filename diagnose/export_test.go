package diagnose

import "github.com/nestlab/nestlab/model"

// Hypotheses lists what the observations of a run suggest, the best first.
func Hypotheses(run model.Run) []Hypothesis { return hypotheses(newView(run, nil)) }

// Precedes reports whether a rule is declared to be taken before another that explains
// as much: by its layer, or as what the other depends on.
func Precedes(a, b string) bool {
	first, _ := findRule(a)
	second, _ := findRule(b)
	if first.layer != second.layer {
		return first.layer < second.layer
	}
	for _, d := range second.dependsOn {
		if d == a || Precedes(a, d) {
			return true
		}
	}
	return false
}

// Dependencies lists what each rule's cause depends on.
func Dependencies() map[string][]string {
	all := map[string][]string{}
	for _, r := range rules {
		all[r.Cause] = r.dependsOn
	}
	return all
}

// Excluded lists the causes that a finding of a run is seen to exclude.
func Excluded(run model.Run, f model.Finding) []string {
	rule, _ := findRule(f.Cause)
	var all []string
	for _, r := range rule.exclude(newView(run, nil), f) {
		all = append(all, r.Cause)
	}
	return all
}

// Exclusions lists what each rule excludes.
func Exclusions() map[string][]string {
	all := map[string][]string{}
	for _, r := range rules {
		for _, x := range r.excludes {
			all[r.Cause] = append(all[r.Cause], x.cause)
		}
	}
	return all
}

// SameReasons is for a test: what failed in both rounds did so for the same reasons.
var SameReasons = sameReasons
