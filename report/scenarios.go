package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/nestlab/nestlab/model"
)

// scenarios has a row for each scenario that was run, and a column for each
// probe: what came of all its targets. Those that were planned and not run are
// skipped; the list of what was not run says why.
func scenarios(run model.Run, sep string) (grid, bool) {
	results := filter(baseline(run), func(r model.Result) bool { return r.Scenario != "" })
	skipped := filter(run.Plan.Items, func(i model.PlanItem) bool { return i.Scenario != "" && i.Skip != "" })
	if len(results)+len(skipped) == 0 {
		return grid{}, false
	}
	probes := filter(model.Probes(), func(p string) bool {
		return slices.ContainsFunc(results, func(r model.Result) bool { return r.Probe == p })
	})
	g := grid{heads: slices.Concat([]string{"scenario", "environment"}, probes, []string{"start s", "install s"})}
	places := filter(observed(run), func(p model.Place) bool { return p.Scenario != "" })
	for _, i := range skipped {
		places = append(places, i.Place)
	}
	slices.SortStableFunc(places, func(a, b model.Place) int {
		return cmp.Or(cmp.Compare(a.Scenario, b.Scenario), model.ComparePlaces(a, b))
	})
	for _, p := range slices.Compact(places) {
		line := []string{clean(p.Scenario), clean(p.Environment)}
		for _, probe := range probes {
			cell := together(filter(results, func(r model.Result) bool { return r.Place == p && r.Probe == probe }), sep)
			if slices.ContainsFunc(skipped, func(i model.PlanItem) bool { return i.Place == p }) {
				cell = string(model.Skip)
			}
			line = append(line, cell)
		}
		for _, step := range []string{model.StepStart, model.StepInstall} {
			cell := none
			if ms, ok := median(run, p, step); ok {
				cell = fmt.Sprintf("%.1f", ms/1000)
			}
			line = append(line, cell)
		}
		g.rows = append(g.rows, line)
	}
	return g, true
}

// together is one cell for several targets of a probe: their outcome if it is the
// same, or else how many there are of each.
func together(results []model.Result, sep string) string {
	if len(results) == 0 {
		return none
	}
	var texts []string
	counts := map[string]int{}
	for _, r := range results {
		text := outcomeText(r, sep)
		if counts[text] == 0 {
			texts = append(texts, text)
		}
		counts[text]++
	}
	if len(texts) == 1 {
		return texts[0]
	}
	for i, t := range texts {
		texts[i] = fmt.Sprintf("%d %s", counts[t], t)
	}
	return strings.Join(texts, "\n")
}
