package report

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/nestlab/nestlab/model"
)

// Merge joins runs of other jobs or machines into one, in which every place is
// there once. A place that two runs observed is an error, unless they hold the
// same of it; a place that one skipped is taken from the one that observed it.
// The diagnosis is left empty: it has to be made again over the whole.
func Merge(runs ...model.Run) (model.Run, error) {
	if len(runs) == 0 {
		return model.Run{}, fmt.Errorf("merge runs: there are none")
	}
	out := model.Run{Schema: model.Schema, Version: runs[0].Version, Start: runs[0].Start}
	out.ID, out.Parts = identify(runs)
	if err := mergePlans(&out, runs); err != nil {
		return model.Run{}, err
	}
	owner, noted := map[model.Place]int{}, map[string]bool{}
	for i, run := range runs {
		// A journal whose beginning was lost does not say when it began.
		if out.Start.IsZero() || run.Start.Before(out.Start) && !run.Start.IsZero() {
			out.Start = run.Start
		}
		for _, p := range observedPlaces(run) {
			first, twice := owner[p]
			if !twice {
				owner[p] = i
				takePlace(&out, run, p)
				continue
			}
			if err := sameOfPlace(p, runs[first], run, first, i); err != nil {
				return model.Run{}, err
			}
		}
		for _, made := range run.Interventions {
			if !slices.ContainsFunc(out.Interventions, func(m model.Intervention) bool { return reflect.DeepEqual(m, made) }) {
				out.Interventions = append(out.Interventions, made)
			}
		}
		for _, note := range run.Notes {
			if !noted[note] {
				noted[note] = true
				out.Notes = append(out.Notes, note)
			}
		}
	}
	mergeItems(&out, runs, owner)
	copied, err := clone(out)
	if err != nil {
		return model.Run{}, err
	}
	tidy(&copied)
	return copied, nil
}

// identify gives a merged run its own identity, the same for the same parts in any
// order, and lists them: each is a run that observed, also where that was merged
// before. A run that is alone stays what it is.
func identify(runs []model.Run) (id string, parts []model.Part) {
	for _, r := range runs {
		of := r.Parts
		if len(of) == 0 {
			of = []model.Part{{ID: r.ID, Command: r.Plan.Command, Start: r.Start.UTC()}}
		}
		for _, part := range of {
			if !slices.Contains(parts, part) {
				parts = append(parts, part)
			}
		}
	}
	if len(parts) == 1 {
		return parts[0].ID, nil
	}
	slices.SortStableFunc(parts, func(a, b model.Part) int {
		return cmp.Or(a.Start.Compare(b.Start), cmp.Compare(a.ID, b.ID), cmp.Compare(a.Command, b.Command))
	})
	var names strings.Builder
	for _, part := range parts {
		fmt.Fprintf(&names, "%s %s %s\n", part.ID, part.Command, part.Start.Format(time.RFC3339Nano))
	}
	return uuid.NewSHA1(uuid.NameSpaceOID, []byte(names.String())).String(), parts
}

// observedPlaces are those of which a run holds more than that it skipped them.
func observedPlaces(run model.Run) []model.Place {
	var places []model.Place
	add := func(p model.Place) {
		if !slices.Contains(places, p) {
			places = append(places, p)
		}
	}
	for _, r := range run.Results {
		if r.Outcome != model.Skip {
			add(r.Place)
		}
	}
	for _, f := range run.Facts {
		add(f.Place)
	}
	for _, w := range run.Watches {
		add(w.Place)
	}
	for _, t := range run.Setups {
		add(t.Place)
	}
	return places
}

// takePlace copies all that a run holds of one place.
func takePlace(out *model.Run, run model.Run, p model.Place) {
	part := ofPlace(run, p)
	out.Facts = append(out.Facts, part.Facts...)
	out.Results = append(out.Results, part.Results...)
	out.Watches = append(out.Watches, part.Watches...)
	out.Inspections = append(out.Inspections, part.Inspections...)
	out.Setups = append(out.Setups, part.Setups...)
	out.Daemons = append(out.Daemons, part.Daemons...)
	out.GuestNotes = append(out.GuestNotes, part.GuestNotes...)
}

func ofPlace(run model.Run, p model.Place) model.Run {
	return model.Run{
		Inspections: filter(run.Inspections, func(i model.Inspection) bool { return i.Place == p }),

		Facts:   filter(run.Facts, func(f model.Facts) bool { return f.Place == p }),
		Results: filter(run.Results, func(r model.Result) bool { return r.Place == p }),
		Watches: filter(run.Watches, func(w model.Watch) bool { return w.Place == p }),
		Daemons: filter(run.Daemons, func(d model.Daemon) bool { return d.Place == p }),
		Setups:  filter(run.Setups, func(t model.Timing) bool { return t.Place == p }),

		GuestNotes: filter(run.GuestNotes, func(n model.GuestNote) bool { return n.Place == p }),
	}
}

func filter[T any](in []T, keep func(T) bool) []T {
	var out []T
	for _, v := range in {
		if keep(v) {
			out = append(out, v)
		}
	}
	return out
}

// sameOfPlace is an error where two runs hold different things of one place.
func sameOfPlace(p model.Place, a, b model.Run, i, j int) error {
	first, err := json.Marshal(ofPlace(a, p))
	if err != nil {
		return fmt.Errorf("compare %s in two runs: %w", p, err)
	}
	second, err := json.Marshal(ofPlace(b, p))
	if err != nil {
		return fmt.Errorf("compare %s in two runs: %w", p, err)
	}
	if bytes.Equal(first, second) {
		return nil
	}
	return fmt.Errorf("merge runs: %s was observed by both %s and %s, and differently: leave one of the two out",
		p, named(a, i), named(b, j))
}

// named tells people which of several runs is meant.
func named(run model.Run, index int) string {
	return fmt.Sprintf("run %d (%s, started %s)",
		index+1, cmp.Or(run.Plan.Command, "unnamed"), run.Start.UTC().Format("2006-01-02 15:04:05Z"))
}

// mergePlans joins what was asked for; the items come later.
func mergePlans(out *model.Run, runs []model.Run) error {
	plan := &out.Plan
	for i, run := range runs {
		p := run.Plan
		if plan.Internet != "" && p.Internet != "" && plan.Internet != p.Internet {
			return fmt.Errorf("merge runs: %s observed a %s internet, an earlier one a %s internet: the two can't be compared",
				named(run, i), p.Internet, plan.Internet)
		}
		plan.Internet = cmp.Or(plan.Internet, p.Internet)
		for _, f := range []struct {
			what string
			to   *string
			from string
		}{
			{"command", &plan.Command, p.Command}, {"targets", &plan.Targets, p.Targets},
			{"platform", &plan.Platform, p.Platform}, {"order", &plan.Order, p.Order}, {"docker_from", &plan.DockerFrom, p.DockerFrom},
			{"version", &out.Version, run.Version},
		} {
			if joinValue(f.to, f.from) && f.what != "command" {
				out.Notes = append(out.Notes, fmt.Sprintf("the merged runs differ in %s: %s", f.what, *f.to))
			}
		}
		plan.Faults = union(plan.Faults, p.Faults)
		plan.IPv6 = plan.IPv6 || p.IPv6
		plan.Intervene = plan.Intervene || p.Intervene
	}
	return nil
}

// joinValue adds from to a list of values joined by +, and says whether it did.
func joinValue(to *string, from string) bool {
	switch {
	case from == "" || slices.Contains(strings.Split(*to, "+"), from):
		return false
	case *to == "":
		*to = from
		return false
	default:
		*to += "+" + from
		return true
	}
}

func union(a, b []string) []string {
	for _, s := range b {
		if !slices.Contains(a, s) {
			a = append(slices.Clip(a), s)
		}
	}
	return a
}

// mergeItems unites the planned places, each from the run that observed it, and
// keeps the skips of those that no run observed.
func mergeItems(out *model.Run, runs []model.Run, owner map[model.Place]int) {
	var items []model.PlanItem
	index := map[model.Place]int{}
	for i, run := range runs {
		for _, item := range run.Plan.Items {
			at, known := index[item.Place]
			observer, observed := owner[item.Place]
			switch {
			case !known:
				index[item.Place] = len(items)
				items = append(items, item)
			case observed && observer == i:
				items[at] = item
			case !observed && items[at].Skip != "" && item.Skip == "":
				items[at] = item // planned, yet nothing came of it: that must show
			}
		}
	}
	for _, item := range items {
		if _, observed := owner[item.Place]; observed {
			continue
		}
		for _, run := range runs {
			if skipped := ofPlace(run, item.Place).Results; len(skipped) > 0 {
				out.Results = append(out.Results, skipped...)
				break
			}
		}
	}
	slices.SortStableFunc(items, func(a, b model.PlanItem) int { return model.ComparePlaces(a.Place, b.Place) })
	out.Plan.Items = items
}
