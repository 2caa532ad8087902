package spec

import (
	"fmt"
	"slices"
	"strings"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/scenario"
	"github.com/nestlab/nestlab/spec/selection"
)

// SetupName is METHOD/PHASE, as a place says how Docker got into it.
func SetupName(m Method, p Phase) string { return string(m) + "/" + string(p) }

// items are the plan's rows of environments: those that Docker is installed for have one
// for each phase, the environments of a phase one after the other.
func items(rows []Environment, m Method, phases ...Phase) []model.PlanItem {
	all := []model.PlanItem{}
	for i, e := range rows {
		if !e.Nested {
			all = append(all, model.PlanItem{Place: model.Place{Environment: e.Name, Name: e.Bridge}, Suites: e.Suites})
			continue
		}
		if i > 0 && rows[i-1].Nested {
			continue // with the first of them
		}
		for _, phase := range phases {
			for _, n := range rows[i:] {
				if n.Nested {
					place := model.Place{Environment: n.Name, Setup: SetupName(m, phase)}
					all = append(all, model.PlanItem{Place: place, Suites: n.Suites})
				}
			}
		}
	}
	return all
}

// choose keeps the rows that fit the patterns: names, such as lxd-*, or !dind* to leave
// out. No pattern means all. What cannot be without another row brings that with it.
func choose(c Command, rows []Environment, patterns []string) ([]Environment, error) {
	pattern, missed, err := selection.Misses(names(rows), patterns)
	if missed {
		hint := ""
		if pattern == model.EnvLXDVM && c == CommandSimulate {
			hint = "; " + pattern + " takes --runner " + string(Emulated)
		}
		return nil, fmt.Errorf("unknown environment %q: %s has %s%s", pattern, c, strings.Join(names(rows), ", "), hint)
	}
	if err != nil {
		return nil, err
	}
	var kept []Environment
	for _, e := range rows {
		if e.Asked && len(exclusions(patterns)) == len(patterns) {
			continue // nothing is named
		}
		keep, err := wanted(rows, e, patterns)
		if err != nil {
			return nil, err
		}
		if keep {
			kept = append(kept, e)
		}
	}
	if len(kept) == 0 {
		return nil, fmt.Errorf("nothing is left to run: no environment of %s fits %s", c, strings.Join(patterns, ", "))
	}
	return kept, nil
}

// wanted is selection.Selected, but a row goes with the one that it is inside of.
func wanted(rows []Environment, e Environment, patterns []string) (bool, error) {
	keep, err := selection.Selected(e.Name, patterns)
	if err != nil {
		return false, err
	}
	if e.Inside != "" {
		outer, err := selection.Selected(e.Inside, exclusions(patterns))
		return keep && outer, err
	}
	for _, inner := range rows {
		if keep || inner.Inside != e.Name {
			continue
		}
		outer, err := selection.Selected(e.Name, exclusions(patterns))
		if err != nil || !outer {
			return false, err
		}
		if keep, err = selection.Selected(inner.Name, patterns); err != nil {
			return false, err
		}
	}
	return keep, nil
}

func exclusions(patterns []string) []string {
	return slices.DeleteFunc(slices.Clone(patterns), func(p string) bool { return !strings.HasPrefix(p, "!") })
}

// addSuites gives the runner the suites that it has because of others.
func addSuites(all []model.PlanItem, rows []Environment) {
	i := slices.IndexFunc(all, func(item model.PlanItem) bool { return item.Environment == model.EnvRunner })
	if i < 0 {
		return
	}
	suites := slices.Clone(all[i].Suites)
	for _, e := range rows {
		for _, s := range e.Adds {
			if !slices.Contains(suites, s) {
				suites = append(suites, s)
			}
		}
	}
	all[i].Suites = suites
}

// tried reports whether a row of scenarios will run.
func tried(rows []model.PlanItem) bool {
	return slices.ContainsFunc(rows, func(i model.PlanItem) bool { return i.Skip == "" })
}

// untried is the error of scenarios none of which can run.
func untried(rows []model.PlanItem) error {
	if len(rows) == 0 || tried(rows) {
		return nil
	}
	var why []string
	for _, r := range rows {
		why = append(why, r.Scenario+": "+r.Skip)
	}
	return fmt.Errorf("no scenario can be tried: %s", strings.Join(why, "; "))
}

// checkScenarios says why scenarios are none.
func checkScenarios(patterns []string) error {
	_, err := scenario.Select(patterns)
	return err
}

// Runs reports whether a plan runs an environment, as it is or in a scenario.
func Runs(p model.Plan, environment string) bool {
	return slices.ContainsFunc(p.Items, func(i model.PlanItem) bool { return i.Skip == "" && i.Environment == environment })
}
