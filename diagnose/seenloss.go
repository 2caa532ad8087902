package diagnose

import (
	"slices"

	"github.com/nestlab/nestlab/model"
)

// seenLoss is the killer of most of a place's failures in the round of a watch.
func seenLoss(run model.Run, w *model.Watch) (model.Loss, bool) {
	v := &view{run: run, round: w.Round, base: round(run, w.Round)}
	v.pickUnexplained()
	for _, k := range v.killers() {
		if slices.Contains(k.places, w.Place) {
			return v.lossOf(k, w.Place), true
		}
	}
	return model.Loss{}, false
}

// yields takes from an inferred hypothesis the failures whose packets were seen to end
// elsewhere. It is false for one that was seen as well: that one is told already.
func (v *view) yields(h *Hypothesis, of layer, seen []Hypothesis) bool {
	if of == layerSite || of == layerMachine {
		return true
	}
	ended := map[string]killer{}
	for _, k := range v.killers() {
		if k.cause == CauseDroppedByKernel {
			continue // no name of its own: another cause may be why
		}
		for _, r := range k.failed {
			if _, known := ended[r.Ref()]; !known {
				ended[r.Ref()] = k
			}
		}
	}
	var by *killer
	left := filter(h.Explains, func(ref string) bool {
		k, is := ended[ref]
		if is && by == nil {
			by = &k
		}
		return !is
	})
	if by == nil {
		return true
	}
	if len(left) > 0 {
		h.Explains = left
		return true
	}
	if slices.ContainsFunc(seen, func(s Hypothesis) bool { return s.Finding.Cause == h.Finding.Cause }) {
		return false
	}
	loss := v.lossOf(*by, by.places[0])
	h.Contradictions = append(h.Contradictions, lossEvidence(by.watches[0], loss, "while "+by.places[0].String()+" was probed, "))
	return true
}

// seenText tells a finding by what was seen of its packets; false where it was inferred.
func seenText(f model.Finding) (string, bool) {
	var says string
	for _, e := range f.Evidence {
		if e.Loss == nil || !traced(*e.Loss) {
			continue
		}
		if says != "" {
			says += " "
		}
		says += sentence(e.Text) + "."
	}
	return says, says != ""
}
