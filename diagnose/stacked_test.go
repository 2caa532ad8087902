package diagnose_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/diagnose"
	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/model/modeltest"
)

// What fails again by the same rule fails for the same reason, though its sender was told once
// and not the other time; by another rule, or where nothing was seen, it does not.
func TestSameReasonsByTheSameRule(t *testing.T) {
	t.Parallel()
	again := func(second *model.FirewallRule) bool {
		run := seen(model.Sighting{Fate: model.Rejected, Rule: &someRule})
		a, b := model.Round{Name: base}, model.Round{Name: after}
		for _, r := range slices.Clone(run.Results) {
			if r.Reason != model.ConnectTimeout || !slices.Contains(modeltest.Bridged(), r.Place) {
				continue
			}
			a.Refs = append(a.Refs, r.Ref())
			r.Round, r.Reason = after, model.Refused
			r.Detail.Dials = []model.Dial{{Address: r.Detail.Dials[0].Address, Reason: model.Refused}}
			run.Results, b.Refs = append(run.Results, r), append(b.Refs, r.Ref())
		}
		for _, w := range slices.Clone(run.Watches) {
			w.Round = after
			if w.Sightings != nil {
				s := *w.Sightings
				s.Drops = slices.Clone(s.Drops)
				s.Drops[0].Rule = second
				if second == nil {
					s.Drops = nil
				}
				w.Sightings = &s
			}
			run.Watches = append(run.Watches, w)
		}
		require.NotEmpty(t, a.Refs)
		return diagnose.SameReasons(run, a, b)
	}
	other := someRule
	other.Handle++
	require.True(t, again(&someRule))
	require.False(t, again(&other))
	require.False(t, again(nil))
}
