package report

import (
	"fmt"
	"slices"
	"strings"

	"github.com/nestlab/nestlab/model"
)

// setupPair is one way of getting Docker into an environment, at both install phases.
type setupPair struct{ build, run model.Place }

// setups compares how long the steps of the set-ups took, in seconds. A ratio
// column follows each pair of build-time and run-time that both were measured.
func setups(run model.Run) (grid, bool) {
	var places []model.Place
	for _, t := range run.Setups {
		places = append(places, t.Place)
	}
	slices.SortFunc(places, model.ComparePlaces)
	places = plain(slices.Compact(places))
	if len(places) == 0 {
		return grid{}, false
	}
	names, pairs := heads(places), pairsOf(places)
	g := grid{heads: append([]string{"step"}, names...)}
	for _, p := range pairs {
		name := strings.TrimSuffix(names[slices.Index(places, p.run)], " run")
		g.heads = append(g.heads, name+" run/build")
	}
	for _, step := range stepsOf(run) {
		line := []string{clean(step)}
		for _, p := range places {
			line = append(line, seconds(run, p, step))
		}
		for _, p := range pairs {
			line = append(line, ratio(run, p, step))
		}
		g.rows = append(g.rows, line)
	}
	return g, true
}

func pairsOf(places []model.Place) []setupPair {
	var pairs []setupPair
	for _, p := range places {
		method, phase, _ := strings.Cut(p.Setup, "/")
		other := model.Place{Environment: p.Environment, Setup: method + "/runtime"}
		if phase == "build-time" && slices.Contains(places, other) {
			pairs = append(pairs, setupPair{build: p, run: other})
		}
	}
	return pairs
}

// stepsOf are the known steps in their order, then those of a newer nestlab.
func stepsOf(run model.Run) []string {
	steps := filter(model.Steps(), func(step string) bool {
		return slices.ContainsFunc(run.Setups, func(t model.Timing) bool { return t.Step == step && t.Scenario == "" })
	})
	for _, t := range run.Setups {
		if t.Scenario == "" && !slices.Contains(steps, t.Step) {
			steps = append(steps, t.Step)
		}
	}
	return steps
}

// median is that of all times that a step was measured in a place, in ms.
func median(run model.Run, p model.Place, step string) (ms float64, ok bool) {
	var all []int64
	for _, t := range run.Setups {
		if t.Place == p && t.Step == step {
			all = append(all, t.DurationMS)
		}
	}
	if len(all) == 0 {
		return 0, false
	}
	slices.Sort(all)
	mid := len(all) / 2
	if len(all)%2 == 1 {
		return float64(all[mid]), true
	}
	return float64(all[mid-1]+all[mid]) / 2, true
}

func seconds(run model.Run, p model.Place, step string) string {
	ms, ok := median(run, p, step)
	if !ok {
		return none
	}
	text := fmt.Sprintf("%.1f", ms/1000)
	for _, t := range run.Setups {
		if t.Place == p && t.Step == step && t.Note != "" {
			return text + " (" + clean(t.Note) + ")"
		}
	}
	return text
}

func ratio(run model.Run, p setupPair, step string) string {
	slow, ok := median(run, p.run, step)
	fast, too := median(run, p.build, step)
	if !ok || !too || fast <= 0 {
		return none
	}
	return fmt.Sprintf("%.2f", slow/fast)
}
