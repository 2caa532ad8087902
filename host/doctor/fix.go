package doctor

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/owner"
	"github.com/nestlab/nestlab/remedy"
	"github.com/nestlab/nestlab/remedy/catalogue"
)

// Of a remedy that was applied and reverted: what it is for stayed, or a way around left a
// part of it, or something else failed with it.
var (
	ErrNoHelp = errors.New("it did not help")
	ErrPart   = errors.New("it leads around the cause, and not all that failed by that passes with it")
	ErrHarm   = errors.New("what had passed fails with it")
)

// Fixed is a remedy that stays applied.
type Fixed struct {
	Cause        string
	Environments []string // where it is to help
	Remedy       model.Remedy
	// explained is what failed by the cause.
	explained map[observed]bool
}

// observed is what one probe observed, in whichever round.
type observed struct {
	place         model.Place
	probe, target string
}

// Fixes is a finding's remedy, with what is to pass with it.
func Fixes(f model.Finding, run model.Run) Fixed {
	refs := map[string]bool{}
	for _, e := range f.Evidence {
		for _, ref := range e.Refs {
			refs[ref] = true
		}
	}
	fixed := Fixed{Cause: f.Cause, Environments: f.Environments, Remedy: *f.Remedy, explained: map[observed]bool{}}
	for _, r := range run.Results {
		if refs[r.Ref()] && r.Outcome.Bad() && r.Probe != model.ProbeStart {
			fixed.explained[observed{r.Place, r.Probe, r.Target}] = true
		}
	}
	return fixed
}

// Left counts what failed by the cause and does not pass as a later run found it, and all
// that failed by it.
func (f Fixed) Left(run model.Run) (left, all int) {
	passed := observations(run, passes)
	for o := range f.explained {
		if !passed[o] {
			left++
		}
	}
	return left, len(f.explained)
}

// observations are what was observed as it is, with outcomes like that.
func observations(run model.Run, like func(model.Outcome) bool) map[observed]bool {
	all := map[observed]bool{}
	for _, r := range model.Final(run.Results) {
		if r.Round == model.RoundBaseline && like(r.Outcome) {
			all[observed{r.Place, r.Probe, r.Target}] = true
		}
	}
	return all
}

func passes(o model.Outcome) bool { return o == model.Pass || o == model.XPass }

// harms reports whether anything fails that passed.
func harms(before, after model.Run) bool {
	passed := observations(before, passes)
	for o := range observations(after, model.Outcome.Bad) {
		if passed[o] {
			return true
		}
	}
	return false
}

// Fix applies the remedies of a run's diagnosis, as this run's until Unfix has seen that they
// help: of the proven causes alone where there are any, for what is left may go with those,
// and of those that these were proven behind. Those that nestlab cannot apply are told as
// errors, each with why.
func (d *Doctor) Fix(ctx context.Context, run model.Run) (fixed []Fixed, err error) {
	me, err := owner.Self("")
	if err != nil {
		return nil, err
	}
	h := remedy.Host{Journal: d.Journal, Owner: &me}
	release, err := h.Hold(ctx, d.Lock, nil)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, release()) }()
	for _, f := range worthFixing(run) {
		if f.Remedy == nil {
			err = errors.Join(err, fmt.Errorf("%s: no fix on this host is known", f.Cause))
			continue
		}
		made, failed := h.Ensure(ctx, *f.Remedy)
		if failed == nil && !made {
			failed = fmt.Errorf("%s is applied already, and does not help; revert it first: nestlab remedy revert %s", remedy.Text(*f.Remedy), f.Remedy.Name)
		}
		if failed != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w", f.Cause, failed))
			continue
		}
		fixed = append(fixed, Fixes(f, run))
	}
	return fixed, err
}

// worthFixing are the findings whose remedies are applied.
func worthFixing(run model.Run) []model.Finding {
	all := append([]model.Finding{run.Diagnosis.Finding}, run.Diagnosis.Further...)
	sure := func(f model.Finding) bool { return f.Confidence == model.Proven && f.Remedy != nil }
	if !slices.ContainsFunc(all, sure) {
		return all
	}
	var under []model.Remedy
	for _, f := range all {
		for _, i := range run.Interventions {
			if sure(f) && f.Proof != nil && len(f.Proof.Rounds) > 0 && i.Cause == f.Cause && i.Remedy.Equal(*f.Remedy) && i.From() == f.Proof.Rounds[0].Name {
				under = append(under, i.Under...)
			}
		}
	}
	return slices.DeleteFunc(all, func(f model.Finding) bool {
		return !sure(f) && (f.Remedy == nil || !slices.ContainsFunc(under, f.Remedy.Equal))
	})
}

// Unfix reverts the remedies with which no less fails of what they are for, the last first; a
// way around also where not all of that passes; all of them where nobody could look again,
// which after has no results of, or where something fails that passed. Others stay for good.
// Those behind which another cause shows that can be fixed wait for that, unless this was the
// last look.
func (d *Doctor) Unfix(ctx context.Context, fixed []Fixed, before, after model.Run, last bool) (kept, waiting []Fixed, err error) {
	h := remedy.Host{Journal: d.Journal}
	harmed := harms(before, after)
	for _, f := range slices.Backward(fixed) {
		why := f.refused(after, harmed)
		switch {
		case why == nil:
			if failed := h.Adopt(context.WithoutCancel(ctx), f.Remedy); failed != nil {
				err = errors.Join(err, failed)
				continue
			}
			kept = append(kept, f)
		case !last && !harmed && f.hides(after):
			waiting = append(waiting, f)
		default:
			if failed := h.Revert(context.WithoutCancel(ctx), f.Remedy); failed != nil {
				err = errors.Join(err, fmt.Errorf("%s: %w, and it stays applied: %w", remedy.Text(f.Remedy), why, failed))
				continue
			}
			err = errors.Join(err, fmt.Errorf("%s: %w: it was reverted", remedy.Text(f.Remedy), why))
		}
	}
	slices.Reverse(waiting)
	return kept, waiting, err
}

// refused is why a remedy does not stay; nil where it does.
func (f Fixed) refused(after model.Run, harmed bool) error {
	left, all := f.Left(after)
	switch {
	case harmed:
		return ErrHarm
	case left == all:
		return ErrNoHelp
	case left > 0 && catalogue.GoesAround(f.Remedy):
		return ErrPart
	}
	return nil
}

// hides reports whether another cause that can be fixed was found where a remedy is to help.
func (f Fixed) hides(after model.Run) bool {
	return slices.ContainsFunc(append([]model.Finding{after.Diagnosis.Finding}, after.Diagnosis.Further...), func(x model.Finding) bool {
		return x.Remedy != nil && !x.Remedy.Equal(f.Remedy) && slices.ContainsFunc(x.Environments, func(at string) bool { return slices.Contains(f.Environments, at) })
	})
}

// Failing counts what fails in environments as they are.
func Failing(run model.Run, environments []string) int {
	n := 0
	for _, r := range model.Final(run.Results) {
		if r.Round == model.RoundBaseline && r.Outcome.Bad() && slices.Contains(environments, r.Place.String()) {
			n++
		}
	}
	return n
}
