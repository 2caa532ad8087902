package diagnose

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/remedy/catalogue"
)

// Judge says what came of a hypothesis. It is proven only when every result that
// it explains failed as found, passed with the change, and failed in the same
// way when the change was reverted; ruled out when something contradicts it,
// the change did not help or the failure did not come back; and supported when
// no change was made, or its test is not complete.
func Judge(h Hypothesis, run model.Run) model.Finding {
	f := h.Finding
	if !h.Stands() {
		f.Confidence, f.Evidence = model.RuledOut, h.Contradictions
		return f
	}
	f.Confidence = model.Supported
	made, ok := madeFor(h, run)
	if ok {
		trial := newTrial(h, run, made)
		f.Confidence, f.Proof = trial.judge()
		// A way around that does not help refutes nothing that was learnt by asking.
		if with := f.Proof.Rounds[1]; h.asked && with.Failed > 0 && with.Passed == 0 {
			f.Confidence, f.Proof, f.Remedy = model.Supported, nil, nil
		}
	}
	if h.onceTried && (f.Proof == nil || f.Proof.Rounds[1].Passed == 0 || f.Proof.Rounds[1].Failed > 0) {
		f.Remedy = nil
	}
	if e, ok := consequences(h, run, made, f.Confidence); ok {
		f.Evidence = append(slices.Clip(f.Evidence), e)
	}
	return f
}

// madeFor finds the intervention that was made for a hypothesis. Rounds that no
// intervention is on record for may have been any change, and show nothing.
func madeFor(h Hypothesis, run model.Run) (model.Intervention, bool) {
	if h.Intervention == nil {
		return model.Intervention{}, false
	}
	for _, i := range run.Interventions {
		if i.Cause == h.Finding.Cause && i.Remedy.Equal(h.Intervention.Remedy) && i.From() == h.Intervention.From() {
			return i, true
		}
	}
	return model.Intervention{}, false
}

// trial is the three looks at what a hypothesis explains.
type trial struct {
	remedy                     model.Remedy
	want                       int
	before, with, after        []model.Result
	beforeR, withR, afterRound model.Round
	// moved is where packets got to with the change, if that is further than before.
	moved []movement
	// ended are what packets of results were seen to end by before and after it.
	ended, endedAgain map[observation]killer
	seen              *model.Sighting // of the hypothesis
	told, remembered  bool
	cached            bool // nobody was asked for a name after it
}

func newTrial(h Hypothesis, run model.Run, made model.Intervention) trial {
	explains := set(h.Explains)
	base := filter(round(run, made.From()), func(r model.Result) bool { return explains[r.Ref()] })
	// By its name it is the same remedy; its words are this catalogue's, not the file's.
	t := trial{remedy: h.Intervention.Remedy, want: len(base), before: base}
	t.with = again(base, round(run, made.Intervened))
	t.after = again(base, round(run, made.Reverted))
	if slices.ContainsFunc(base, func(r model.Result) bool { return !allIPv6(r) }) { // how far packets get is counted of IPv4
		t.moved = movedWith(run, h.places(run), made)
	}
	t.seen, t.told, t.remembered = h.seen, h.told, h.Intervention.Strangers
	t.cached = h.seen != nil && h.seen.To(netip.Addr{}, portDNS, protoUDP, protoTCP) && askedNobody(run, h.places(run), made.Reverted)
	t.ended, t.endedAgain = killedIn(run, made.From()), killedIn(run, made.Reverted)
	t.beforeR = look(made.From(), t.before)
	t.withR = look(made.Intervened, t.with)
	t.afterRound = look(made.Reverted, t.after)
	return t
}

// askedNobody reports whether no DNS query left by the uplink while places were probed.
func askedNobody(run model.Run, places []model.Place, round string) bool {
	return len(places) > 0 && !slices.ContainsFunc(places, func(p model.Place) bool {
		w := watchIn(run, p, round)
		if w == nil {
			return true
		}
		uplink, ok := w.Uplink()
		return !ok || uplink.Runner.DNSQueries > 0
	})
}

// look counts a round. Its outcome is fail where anything failed, and error
// where nothing was observed.
func look(name string, results []model.Result) model.Round {
	r := model.Round{Name: name, Outcome: model.Error, Refs: refsOf(results)}
	for _, x := range results {
		if passed(x) {
			r.Passed++
		}
		if x.Outcome.Bad() {
			r.Failed++
		}
	}
	switch {
	case r.Failed > 0:
		r.Outcome = model.Fail
	case r.Passed > 0:
		r.Outcome = model.Pass
	}
	return r
}

// judge compares the rounds.
func (t trial) judge() (model.Confidence, *model.Proof) {
	p := &model.Proof{Remedy: t.remedy, Rounds: []model.Round{t.beforeR, t.withR, t.afterRound}}
	confidence := model.Supported
	name, same := remedyText(t.remedy), t.sameFailures()
	switch {
	case t.want == 0 || t.beforeR.Failed != t.want:
		p.Text = "what it explains did not fail as found, so that nothing can be shown"
	case t.withR.Passed+t.withR.Failed != t.want:
		p.Text = fmt.Sprintf("the test is not complete: %d of the %s that failed were observed with %s",
			t.withR.Passed+t.withR.Failed, count(t.want, "probe"), name)
	case t.withR.Passed == 0 && len(t.moved) > 0:
		p.Text = fmt.Sprintf("%s did not cure, but it shows a second cause behind this one: %s", name, movementsText(t.moved))
	case t.withR.Passed == 0:
		confidence = model.RuledOut
		p.Text = fmt.Sprintf("%s did not help: all %s that failed before fail with it too", name, count(t.want, "probe"))
	case t.withR.Passed < t.want:
		p.Text = fmt.Sprintf("with %s %d of %s pass, %s: a second cause, or this one in part",
			name, t.withR.Passed, count(t.want, "probe"), failuresText(t.with))
	case t.afterRound.Passed == t.want && t.remembered:
		p.Text = fmt.Sprintf("all %s pass with %s, and after it was reverted too: neighbours that were found meanwhile are remembered for a while", count(t.want, "probe"), name)
	case t.afterRound.Passed == t.want && t.cached:
		p.Text = fmt.Sprintf("all %s pass with %s, and after it was reverted too, when no DNS query left this host any more: names were answered from a cache", count(t.want, "probe"), name)
	case t.afterRound.Passed == t.want:
		confidence = model.RuledOut
		p.Text = fmt.Sprintf("the failure did not come back: all %s pass after %s was reverted too, so it was not what cured them",
			count(t.want, "probe"), name)
	case same == t.want && catalogue.GoesAround(t.remedy):
		p.Text = fmt.Sprintf("the %s that failed all pass with %s, and all fail again when the change is reverted; "+
			"it leads around what is wrong, and so proves nothing about it", count(t.want, "probe"), name)
	case same == t.want:
		confidence, p.Holds = model.Proven, true
		p.Text = fmt.Sprintf("the %s that failed all pass with %s, and all fail again when the change is reverted",
			count(t.want, "probe"), name)
	default:
		p.Text = fmt.Sprintf("all %s pass with %s, but %d of them failed in the same way after it was reverted",
			count(t.want, "probe"), name, same)
	}
	return confidence, p
}

// sameFailures counts the results that failed after the change was reverted
// for the reason that they failed for as found, or by what their packets were seen to end
// by then: the kernel limits how often it tells a sender, so that reasons vary.
func (t trial) sameFailures() int {
	n, after := 0, byObservation(t.after)
	for _, b := range t.before {
		if slices.ContainsFunc(after[observationOf(b)], func(a model.Result) bool {
			return a.Outcome == model.Fail && (a.Reason == b.Reason || t.sameEnd(observationOf(b)) || t.told && unconnected(a) && unconnected(b))
		}) {
			n++
		}
	}
	return n
}

// unconnected reports whether a connection did not come about, whatever the sender was told.
func unconnected(r model.Result) bool {
	return slices.Contains([]model.Reason{model.Unreachable, model.ConnectTimeout, model.Permission, model.DNSTimeout}, r.Reason)
}

// sameEnd reports whether packets were seen to end by the same before and after.
func (t trial) sameEnd(o observation) bool {
	before, seen := t.ended[o]
	after, again := t.endedAgain[o]
	return t.seen != nil && seen && again && sameKiller(before.Sighting, *t.seen) && sameKiller(after.Sighting, *t.seen)
}

// consequences are the failures that follow from a finding: those which did not
// survive the change, where one was made.
func consequences(h Hypothesis, run model.Run, made model.Intervention, c model.Confidence) (model.Evidence, bool) {
	if c == model.RuledOut {
		return model.Evidence{}, false
	}
	later := round(run, made.Intervened)
	if h.Intervention != nil && h.Intervention.Proxy != "" {
		later = nil // what does not go by a proxy fails with it as before
	}
	base := made.From()
	if h.round != "" {
		base = h.round
	}
	follows, same := set(h.Follows), byObservation(later)
	follow := filter(round(run, base), func(r model.Result) bool {
		return follows[r.Ref()] && !slices.ContainsFunc(same[observationOf(r)], func(x model.Result) bool { return !passed(x) })
	})
	if len(follow) == 0 {
		return model.Evidence{}, false
	}
	return model.Evidence{
		Refs: refsOf(follow),
		Text: fmt.Sprintf("what needs these connections failed with them: %s", probesText(follow)),
	}, true
}
