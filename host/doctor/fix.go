package doctor

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/owner"
	"github.com/nestlab/nestlab/remedy"
)

// Of a remedy that was applied and reverted: what it is for stayed, or something else failed
// with it.
var (
	ErrNoHelp = errors.New("it did not help")
	ErrHarm   = errors.New("what had passed fails with it")
)

// Fixed is a remedy that stays applied.
type Fixed struct {
	Cause        string
	Environments []string // where it is to help
	Remedy       model.Remedy
}

// Fix applies the remedies of a diagnosis, as this run's until Unfix has seen that they help:
// of the proven causes alone where there are any, for what is left may go with those.
// Those that nestlab cannot apply are told as errors, each with why.
func (d *Doctor) Fix(ctx context.Context, found model.Diagnosis) (fixed []Fixed, err error) {
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
	all := append([]model.Finding{found.Finding}, found.Further...)
	sure := func(f model.Finding) bool { return f.Confidence == model.Proven && f.Remedy != nil }
	if some := slices.ContainsFunc(all, sure); some {
		all = slices.DeleteFunc(all, func(f model.Finding) bool { return !sure(f) })
	}
	for _, f := range all {
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
		fixed = append(fixed, Fixed{Cause: f.Cause, Environments: f.Environments, Remedy: *f.Remedy})
	}
	return fixed, err
}

// Unfix reverts the remedies with which no fewer probes fail where they were to help, the
// last first; all of them where nobody could look again, which after has no results of, or
// where something fails that passed. The others stay for good.
func (d *Doctor) Unfix(ctx context.Context, fixed []Fixed, before, after model.Run) (kept []Fixed, err error) {
	h := remedy.Host{Journal: d.Journal}
	why := ErrNoHelp
	harmed := slices.ContainsFunc(after.Results, func(r model.Result) bool {
		of := []string{r.Place.String()}
		return Failing(before, of) == 0 && Failing(after, of) > 0
	})
	if harmed {
		why = ErrHarm
	}
	for _, f := range slices.Backward(fixed) {
		if len(after.Results) > 0 && !harmed && Failing(after, f.Environments) < Failing(before, f.Environments) {
			if failed := h.Adopt(context.WithoutCancel(ctx), f.Remedy); failed != nil {
				err = errors.Join(err, failed)
				continue
			}
			kept = append(kept, f)
			continue
		}
		if failed := h.Revert(context.WithoutCancel(ctx), f.Remedy); failed != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w, and it stays applied: %w", remedy.Text(f.Remedy), why, failed))
			continue
		}
		err = errors.Join(err, fmt.Errorf("%s: %w: it was reverted", remedy.Text(f.Remedy), why))
	}
	return kept, err
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
