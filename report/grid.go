package report

import (
	"fmt"
	"slices"
	"strings"

	"github.com/nestlab/nestlab/model"
)

// none is the cell of what was not measured.
const none = "–"

// grid is a table before it takes a form. A cell may have several lines.
type grid struct {
	heads []string
	rows  [][]string
}

// row names one line of the comparison.
type row struct{ probe, target string }

// comparison puts the baseline of all places side by side. The heads are those
// of Places that have results; cell gives an outcome its text.
func comparison(run model.Run, cell func(model.Result) string) grid {
	results := baseline(run)
	var rows []row
	cells := map[row]map[model.Place]string{}
	for _, r := range results {
		k := row{r.Probe, r.Target}
		if cells[k] == nil {
			cells[k] = map[model.Place]string{}
			rows = append(rows, k)
		}
		cells[k][r.Place] = cell(r)
	}
	slices.SortFunc(rows, func(a, b row) int {
		return model.CompareResults(
			model.Result{Probe: a.probe, Target: a.target}, model.Result{Probe: b.probe, Target: b.target})
	})
	places := plain(observed(run))
	g := grid{heads: append([]string{"probe", "target"}, heads(places)...)}
	for _, k := range rows {
		if !slices.ContainsFunc(places, func(p model.Place) bool { return cells[k][p] != "" }) {
			continue // scenarios alone have it
		}
		line := []string{clean(k.probe), clean(k.target)}
		for _, p := range places {
			text, there := cells[k][p]
			if !there {
				text = none
			}
			line = append(line, text)
		}
		g.rows = append(g.rows, line)
	}
	return g
}

// observed are the places that have results in the baseline.
func observed(run model.Run) []model.Place {
	var places []model.Place
	for _, r := range baseline(run) {
		places = append(places, r.Place)
	}
	slices.SortFunc(places, model.ComparePlaces)
	return slices.Compact(places)
}

// plain are the places that are as they are: scenarios have a table of their own.
func plain(places []model.Place) []model.Place {
	return filter(places, func(p model.Place) bool { return p.Scenario == "" })
}

// outcomeText is the cell of a result: "FAIL connect-timeout". What speaks
// against a place is in capitals, so that it is found without colours.
func outcomeText(r model.Result, sep string) string {
	text := clean(string(r.Outcome))
	if r.Outcome.Bad() {
		text = strings.ToUpper(text)
	}
	if r.Reason != "" && r.Outcome != model.Pass {
		text += sep + clean(string(r.Reason))
	}
	if r.Attempt > 1 {
		text += fmt.Sprintf("%s(try %d)", sep, r.Attempt)
	}
	return text
}

// heads are short column heads: "dind run", or "dind distro run" where there
// are several methods of one environment.
func heads(places []model.Place) []string {
	out := make([]string, len(places))
	for i, p := range places {
		out[i] = shortHead(p, false)
	}
	for i, p := range places {
		for j := range places {
			if i != j && shortHead(places[j], false) == shortHead(p, false) {
				out[i] = shortHead(p, true)
			}
		}
	}
	return out
}

func shortHead(p model.Place, method bool) string {
	env := clean(p.Environment)
	if p.Scenario != "" {
		return strings.TrimSpace(strings.Join([]string{env, clean(p.Setup), clean(p.Scenario)}, " "))
	}
	if p.Setup == "" {
		return env
	}
	how, phase, _ := strings.Cut(clean(p.Setup), "/")
	switch phase {
	case "build-time":
		phase = "build"
	case "runtime":
		phase = "run"
	}
	if method {
		return strings.TrimSpace(env + " " + how + " " + phase)
	}
	return strings.TrimSpace(env + " " + phase)
}

// legend says what the heads with a setup stand for.
func legend(places []model.Place) []string {
	var lines []string
	for i, head := range heads(places) {
		p := places[i]
		if p.Setup == "" {
			continue
		}
		lines = append(lines, fmt.Sprintf("%s = %s, %s", head, clean(p.Environment), setupText(p.Setup)))
	}
	return lines
}

// setupText says how Docker got into an environment.
func setupText(setup string) string {
	method, phase, _ := strings.Cut(clean(setup), "/")
	from := "by " + method
	switch method {
	case "distro":
		from = "from the distribution"
	case "docker-ce":
		from = "from Docker's own packages"
	}
	switch phase {
	case "":
		return "Docker installed " + from
	case "build-time":
		phase = "build time"
	case "runtime":
		phase = "run time"
	}
	return fmt.Sprintf("Docker installed %s at %s", from, phase)
}

// notRun lists what was planned and left out, and why.
func notRun(run model.Run) []string {
	var lines []string
	for _, item := range run.Plan.Items {
		if item.Skip != "" {
			lines = append(lines, fmt.Sprintf("not run: %s: %s", clean(item.Place.String()), clean(item.Skip)))
		}
	}
	return append(lines, startsFailed(run)...)
}

// mostOfStart is how much of the reason of a start that failed is shown, in characters;
// the next step stands at the end of a long one.
const mostOfStart = 600

// startsFailed lists the places that did not start, or were lost, and why.
func startsFailed(run model.Run) []string {
	var lines []string
	for _, r := range baseline(run) {
		if r.Probe != model.ProbeStart || !r.Outcome.Bad() {
			continue
		}
		why := []rune(clean(r.Detail.Message))
		if over := len(why) - mostOfStart; over > 0 {
			why = slices.Concat(why[:mostOfStart/4], []rune(" … "), why[over+mostOfStart/4:])
		}
		lines = append(lines, fmt.Sprintf("%s: %s: %s", clean(string(r.Reason)), clean(r.Place.String()), string(why)))
	}
	return lines
}
