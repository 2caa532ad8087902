package diagnose

import (
	"slices"

	"github.com/nestlab/nestlab/model"
)

// A run may hold 10^5 results, a guest's or a file's of somebody else: what is looked for
// among them again and again is looked up.

// index is what a view's results are, by what rules look for.
type index struct {
	of, resolving map[model.Place][]model.Result
	places        []model.Place
	// controls are the runner's, each the first for its probe and target.
	controls map[question]model.Result
}

// question is what a probe asks.
type question struct{ probe, target string }

func asks(r model.Result) question { return question{r.Probe, r.Target} }

// indexed is the index of the view's base, made when first asked for: base stays as it
// is from then on.
func (v *view) indexed() *index {
	if v.index != nil {
		return v.index
	}
	x := &index{of: map[model.Place][]model.Result{}, resolving: map[model.Place][]model.Result{}, controls: map[question]model.Result{}}
	for _, r := range v.base {
		x.of[r.Place] = append(x.of[r.Place], r)
		if r.Probe == model.ProbeDNSA && passed(r) {
			x.resolving[r.Place] = append(x.resolving[r.Place], r)
		}
		if _, known := x.controls[asks(r)]; !known && r.Place == v.runner() {
			x.controls[asks(r)] = r
		}
	}
	x.places = placesOf(v.base)
	v.index = x
	return x
}

// observation is a question in a place.
type observation struct {
	model.Place
	question
}

func observationOf(r model.Result) observation { return observation{r.Place, asks(r)} }

// byObservation groups results in their order.
func byObservation(results []model.Result) map[observation][]model.Result {
	all := make(map[observation][]model.Result, len(results))
	for _, r := range results {
		all[observationOf(r)] = append(all[observationOf(r)], r)
	}
	return all
}

// again picks of a later round the results of the same probes.
func again(base, later []model.Result) []model.Result {
	var out []model.Result
	same := byObservation(later)
	for _, b := range base {
		out = append(out, same[observationOf(b)]...)
	}
	return out
}

// set is a list to look things up in.
func set[T comparable](list []T) map[T]bool {
	all := make(map[T]bool, len(list))
	for _, x := range list {
		all[x] = true
	}
	return all
}

// unique leaves the first of the same.
func unique[T comparable](list []T) []T {
	seen := make(map[T]bool, len(list))
	return slices.DeleteFunc(slices.Clone(list), func(x T) bool {
		again := seen[x]
		seen[x] = true
		return again
	})
}
