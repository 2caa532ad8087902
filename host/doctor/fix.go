package doctor

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/remedy"
)

// ErrNoHelp is of a remedy that was applied and reverted, as what it is for stayed.
var ErrNoHelp = errors.New("it did not help")

// Fixed is a remedy that stays applied.
type Fixed struct {
	Cause  string
	Remedy model.Remedy
}

// Fix applies the remedies of a diagnosis for good. Those that nestlab cannot apply are
// told as errors, each with why.
func (d *Doctor) Fix(ctx context.Context, found model.Diagnosis) (fixed []Fixed, err error) {
	h := remedy.Host{Journal: d.Journal}
	for _, f := range append([]model.Finding{found.Finding}, found.Further...) {
		if f.Cause == "" || f.Remedy == nil {
			err = errors.Join(err, fmt.Errorf("%s: no fix on this host is known", f.Cause))
			continue
		}
		if failed := h.Apply(ctx, *f.Remedy); failed != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w", f.Cause, failed))
			continue
		}
		fixed = append(fixed, Fixed{Cause: f.Cause, Remedy: *f.Remedy})
	}
	return fixed, err
}

// Unfix reverts the remedies whose causes are found again with them.
func (d *Doctor) Unfix(ctx context.Context, fixed []Fixed, again model.Diagnosis) (kept []Fixed, err error) {
	h := remedy.Host{Journal: d.Journal}
	for _, f := range fixed {
		is := func(g model.Finding) bool { return g.Cause == f.Cause }
		if !is(again.Finding) && !slices.ContainsFunc(again.Further, is) {
			kept = append(kept, f)
			continue
		}
		err = errors.Join(err, fmt.Errorf("%s: %w: it was reverted", remedy.Text(f.Remedy), ErrNoHelp), h.Revert(ctx, f.Remedy))
	}
	return kept, err
}
