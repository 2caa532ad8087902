package model

import (
	"cmp"
	"slices"
)

// rank is the position of s in a fixed order; what is not in it comes last.
func rank(order []string, s string) int {
	if i := slices.Index(order, s); i >= 0 {
		return i
	}
	return len(order)
}

// Rounds lists the rounds in the order in which they are made.
func Rounds() []string { return []string{RoundBaseline, RoundIntervened, RoundReverted} }

// ComparePlaces puts the control first, then from the least to the most nested,
// a place without Docker before those with a setup, one as it is before its
// scenarios.
func ComparePlaces(a, b Place) int {
	return cmp.Or(
		cmp.Compare(rank(Environments(), a.Environment), rank(Environments(), b.Environment)),
		cmp.Compare(a.Environment, b.Environment),
		cmp.Compare(a.Name, b.Name),
		cmp.Compare(a.Setup, b.Setup),
		cmp.Compare(a.Scenario, b.Scenario),
	)
}

// CompareResults orders results by place, round, probe, target and attempt.
func CompareResults(a, b Result) int {
	return cmp.Or(
		ComparePlaces(a.Place, b.Place),
		cmp.Compare(rank(Rounds(), a.Round), rank(Rounds(), b.Round)),
		cmp.Compare(a.Round, b.Round),
		cmp.Compare(rank(Probes(), a.Probe), rank(Probes(), b.Probe)),
		cmp.Compare(a.Probe, b.Probe),
		cmp.Compare(a.Target, b.Target),
		cmp.Compare(a.Attempt, b.Attempt),
	)
}

// Final holds of every place, round, probe and target the last attempt, which
// decides, in the order of CompareResults. A transient failure that a retry
// healed stays in the run, but speaks against nothing.
func Final(results []Result) []Result {
	sorted := slices.Clone(results)
	slices.SortStableFunc(sorted, CompareResults)
	var final []Result
	for _, r := range sorted {
		if n := len(final); n > 0 && sameObservation(final[n-1], r) {
			final[n-1] = r
			continue
		}
		final = append(final, r)
	}
	return final
}

func sameObservation(a, b Result) bool {
	return a.Place == b.Place && a.Round == b.Round && a.Probe == b.Probe && a.Target == b.Target
}
