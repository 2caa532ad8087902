package diagnose

import (
	"fmt"
	"slices"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/remedy/catalogue"
)

// stacked takes a cause for proven behind which others showed, once all of those are: with
// its change something passed, or packets got further; all that failed still did so by what
// was proven with that change in place; and all failed as found when it was reverted. The
// innermost come last, and are looked at first.
func stacked(run model.Run, findings []model.Finding) []model.Finding {
	all := slices.Clone(findings)
	for i := range slices.Backward(all) {
		if f, ok := provenBehind(run, all, i); ok {
			all[i] = f
		}
	}
	return all
}

func provenBehind(run model.Run, findings []model.Finding, i int) (model.Finding, bool) {
	f := findings[i]
	made, ok := helped(run, f)
	if !ok || f.Confidence != model.Supported || len(f.Proof.Rounds) != 3 || catalogue.GoesAround(f.Proof.Remedy) {
		return f, false
	}
	before, with, after := f.Proof.Rounds[0], f.Proof.Rounds[1], f.Proof.Rounds[2]
	if with.Failed == 0 || with.Passed+with.Failed != before.Failed || after.Failed != before.Failed || !sameReasons(run, before, after) {
		return f, false
	}
	behind := map[string]bool{}
	var causes []string
	for _, g := range findings {
		if g.Confidence != model.Proven || testedFrom(g) != made.Intervened {
			continue
		}
		causes = append(causes, g.Cause)
		for _, e := range g.Evidence {
			for _, ref := range e.Refs {
				behind[ref] = true
			}
		}
	}
	left := filter(round(run, made.Intervened), func(r model.Result) bool {
		return slices.Contains(with.Refs, r.Ref()) && r.Outcome.Bad() && !behind[r.Ref()]
	})
	if len(causes) == 0 || len(left) > 0 || with.Passed == 0 && len(movedWith(run, placesOf(resultsOf(run, before.Refs)), made)) == 0 {
		return f, false
	}
	proof := *f.Proof
	proof.Holds = true
	proof.Text = fmt.Sprintf("with %s %d of %s pass, and the others fail by what shows behind it then and was proven with it in place (%s); all fail again as found when the change is reverted",
		remedyText(proof.Remedy), with.Passed, count(before.Failed, "probe"), join(unique(causes)))
	f.Confidence, f.Proof = model.Proven, &proof
	return f, true
}

func resultsOf(run model.Run, refs []string) []model.Result {
	in := set(refs)
	return filter(run.Results, func(r model.Result) bool { return in[r.Ref()] })
}

// sameReasons reports whether what failed in one round failed in another for the same reason,
// or by what its packets were seen to end by: the kernel limits how often it tells a sender.
func sameReasons(run model.Run, a, b model.Round) bool {
	again, ended, endedAgain := byObservation(resultsOf(run, b.Refs)), killedIn(run, a.Name), killedIn(run, b.Name)
	return !slices.ContainsFunc(resultsOf(run, a.Refs), func(r model.Result) bool {
		before, seen := ended[observationOf(r)]
		now, seenAgain := endedAgain[observationOf(r)]
		return !slices.ContainsFunc(again[observationOf(r)], func(x model.Result) bool {
			return x.Reason == r.Reason || unconnected(x) && unconnected(r) || seen && seenAgain && sameKiller(before.Sighting, now.Sighting)
		})
	})
}
