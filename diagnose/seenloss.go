package diagnose

import (
	"slices"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/remedy/catalogue"
)

// seenLoss is the killer of most of a place's failures in the round of a watch.
func seenLoss(run model.Run, w *model.Watch) (model.Loss, bool) {
	for _, k := range killersIn(run, w.Round) {
		if slices.Contains(k.places, w.Place) {
			return k.lossAt(w.Place), true
		}
	}
	return model.Loss{}, false
}

// killersIn are those of a round, whatever is explained.
func killersIn(run model.Run, name string) []killer {
	v := &view{run: run, round: name, base: round(run, name), applied: appliedIn(run, name)}
	v.pickUnexplained()
	return v.killers()
}

// appliedIn are the remedies that were in place in a round.
func appliedIn(run model.Run, name string) []model.Remedy {
	for _, i := range run.Interventions {
		if i.Intervened == name {
			return append(slices.Clone(i.Under), i.Remedy)
		}
		if i.Reverted == name {
			return i.Under
		}
	}
	return nil
}

// killedIn is what packets of a round's failures were seen to end by.
func killedIn(run model.Run, name string) map[observation]killer {
	ended := map[observation]killer{}
	for _, k := range killersIn(run, name) {
		for _, r := range k.failed {
			if _, known := ended[observationOf(r)]; !known {
				ended[observationOf(r)] = k
			}
		}
	}
	return ended
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
	loss := by.lossAt(by.places[0])
	h.Contradictions = append(h.Contradictions, lossEvidence(by.watches[0], loss, "while "+by.places[0].String()+" was probed, "))
	return true
}

// ledAround reports whether a remedy that leads around what is wrong sent these packets to the
// runner: what they end by there is its own trouble.
func (v *view) ledAround(s model.Sighting) bool {
	return len(s.Flows) > 0 && slices.ContainsFunc(v.applied, catalogue.GoesAround) &&
		!slices.ContainsFunc(s.Flows, func(f model.PacketFlow) bool { return !f.Translated.IsValid() || v.holderOf(f.Translated.Addr()) == "" })
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
