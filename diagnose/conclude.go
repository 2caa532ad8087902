package diagnose

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/nestlab/nestlab/model"
)

// Conclude sums the findings up. The first that holds is the diagnosis' own, the
// others are further ones; those that do not hold are listed as ruled out. What
// no finding explains is named in the summary.
func Conclude(run model.Run, findings []model.Finding) model.Diagnosis {
	findings = stacked(run, findings)
	v := newView(run, findings)
	d := model.Diagnosis{RuledOut: []model.Refuted{}}
	var hold []model.Finding
	for _, f := range findings {
		if f.Confidence == model.Proven || f.Confidence == model.Supported {
			hold = append(hold, f)
		}
	}
	slices.SortStableFunc(hold, func(a, b model.Finding) int { // what was shown before what is likely
		return cmp.Compare(proven(b), proven(a))
	})
	switch {
	case len(hold) > 0:
		d.Verdict, d.Finding, d.Further = model.CauseFound, hold[0], hold[1:]
		d.Summary, d.Unexplained = causesSummary(v, hold), unexplainedIn(v)
	case len(v.base) == 0:
		d.Verdict, d.Summary = model.Undetermined, "Nothing was observed, so nothing can be said."
		d.Confidence = model.Unsure
	case len(v.unexplained()) == 0:
		d.Verdict, d.Summary = model.Healthy, healthySummary(v)
	default:
		d.Verdict, d.Finding = model.Undetermined, undetermined(v)
		d.Summary = undeterminedSummary(v)
	}
	d.LastWords = v.lastWords()
	d.Summary += v.oldClients()
	v.beside(&d)
	d.RuledOut = append(d.RuledOut, refuted(v, d, hold, findings)...)
	if d.Evidence == nil {
		d.Evidence = []model.Evidence{}
	}
	return d
}

func proven(f model.Finding) int {
	if f.Confidence == model.Proven {
		return 1
	}
	return 0
}

// refuted gathers what does not hold, each cause once.
func refuted(v *view, d model.Diagnosis, hold, findings []model.Finding) []model.Refuted {
	var all []model.Refuted
	add := func(r model.Refuted) {
		same := func(x model.Refuted) bool { return x.Cause == r.Cause }
		if !slices.ContainsFunc(all, same) && !slices.ContainsFunc(hold, func(f model.Finding) bool { return f.Cause == r.Cause }) {
			all = append(all, r)
		}
	}
	for _, f := range findings {
		if f.Confidence == model.RuledOut {
			add(whyNot(f))
		}
	}
	// What a cause that holds explains was not looked at again, but was considered.
	for _, h := range hypotheses(newView(v.run, nil)) {
		if !h.Stands() {
			add(whyNot(Judge(h, v.run)))
		}
	}
	for _, f := range hold {
		if rule, ok := findRule(f.Cause); ok {
			for _, r := range rule.exclude(v, f) {
				add(r)
			}
		}
	}
	if d.Verdict == model.Healthy {
		for _, rule := range rules {
			if rule.absent == nil {
				continue
			}
			if r := rule.absent(v); r != nil {
				add(*r)
			}
		}
	}
	return all
}

// whyNot says why a finding does not hold: by its test, or by what contradicts it.
func whyNot(f model.Finding) model.Refuted {
	r := model.Refuted{Cause: f.Cause}
	if f.Proof != nil {
		r.Why = f.Proof.Text
		for _, round := range f.Proof.Rounds {
			r.Refs = append(r.Refs, round.Refs...)
		}
		return r
	}
	var says []string
	for _, e := range f.Evidence {
		says = append(says, e.Text)
		r.Refs = append(r.Refs, e.Refs...)
	}
	r.Why = strings.Join(says, "; ")
	return r
}

func causesSummary(v *view, hold []model.Finding) string {
	var sentences []string
	for _, f := range hold {
		if rule, ok := findRule(f.Cause); ok {
			sentences = append(sentences, rule.summarize(v, f))
		}
	}
	if left := v.unexplained(); len(left) > 0 {
		sentences = append(sentences, "Not explained by this: "+failing(v, left)+".")
	}
	return strings.Join(sentences, " ")
}

func healthySummary(v *view) string {
	n := len(v.places())
	expected := len(filter(v.base, func(r model.Result) bool { return r.Outcome == model.XFail }))
	says := fmt.Sprintf("Nothing failed unexpectedly in %s.", count(n, "environment"))
	if expected > 0 {
		says += fmt.Sprintf(" %s failed as expected here.", count(expected, "probe"))
	}
	return says
}

func undeterminedSummary(v *view) string {
	says := fmt.Sprintf("Something failed, and no known cause fits: %s.", failing(v, v.unexplained()))
	for _, p := range placesOf(v.unexplained()) {
		if e, ok := findLoss(v.run, p, v.round); ok && slices.ContainsFunc(v.unexplained(), func(r model.Result) bool { return r.Place == p && onTheWire(r) }) {
			says += fmt.Sprintf(" While %s was probed, %s.", p, e.Text)
		}
	}
	return says
}

// unexplainedIn lists what of a view nothing explains, place by place.
func unexplainedIn(v *view) []model.Evidence {
	var all []model.Evidence
	for _, p := range placesOf(v.left) {
		mine := filter(v.left, within(p))
		all = append(all, model.Evidence{Refs: refsOf(mine), Text: fmt.Sprintf("in %s %s (%s)", p, failuresText(mine), probesText(mine))})
	}
	return all
}

// onTheWire reports whether a failure may be one of packets.
func onTheWire(r model.Result) bool {
	return tcpLike(r) || r.Probe == model.ProbeDNSA || r.Probe == model.ProbePathMTU || r.Probe == model.ProbeICMP
}

// failing says which places fail in which way.
func failing(v *view, bad []model.Result) string {
	var parts []string
	for _, p := range v.places() {
		of := func(r model.Result) bool { return r.Place == p }
		mine := filter(bad, of)
		if len(mine) == 0 {
			continue
		}
		parts = append(parts, fmt.Sprintf("in %s %s (%s)", p, failuresText(mine), probesText(mine)))
	}
	return strings.Join(parts, "; ")
}

// undetermined is the finding of an undetermined run: what failed, and where the
// runner last saw packets of it.
func undetermined(v *view) model.Finding {
	f := model.Finding{Confidence: model.Unsure}
	for _, p := range v.places() {
		mine := filter(v.unexplained(), func(r model.Result) bool { return r.Place == p })
		if len(mine) == 0 {
			continue
		}
		f.Environments = append(f.Environments, p.String())
		f.Evidence = append(f.Evidence, model.Evidence{
			Refs: refsOf(mine), Text: fmt.Sprintf("%s: %s (%s)", p, failuresText(mine), probesText(mine)),
		})
		if e, ok := findLoss(v.run, p, v.round); ok {
			f.Evidence = append(f.Evidence, model.Evidence{Refs: e.Refs, Loss: e.Loss, Text: fmt.Sprintf("while %s was probed, %s", p, e.Text)})
		}
	}
	return f
}
