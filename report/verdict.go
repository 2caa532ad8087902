package report

import (
	"fmt"
	"slices"
	"strings"

	"github.com/nestlab/nestlab/model"
)

// Verdict says whether a run is good, and why not. Bad is: a probe that failed
// or could not observe in the baseline, a cause found or not determined, a place
// that was planned and has no results, and a run without any result.
func Verdict(run model.Run) (ok bool, lines []string) {
	for _, p := range Places(run) {
		for _, l := range placeLines(run, p) {
			lines = append(lines, l.text)
		}
	}
	if len(baseline(run)) == 0 {
		lines = append(lines, "nothing was observed")
	}
	switch d := run.Diagnosis; d.Verdict {
	case model.CauseFound:
		for _, f := range byCause(d) {
			lines = append(lines, "cause: "+finding(f))
		}
	case "":
		lines = append(lines, "the run ended before it was diagnosed")
	case model.Undetermined:
		lines = append(lines, "cause: undetermined")
	}
	ok = len(lines) == 0
	if ok {
		lines = append(lines, Summary(run))
	}
	if line := Observed(run); line != "" {
		lines = append(lines, line)
	}
	return ok, lines
}

// placeStatus is what speaks against a place.
type placeStatus int

const (
	placeFails      placeStatus = iota // a probe failed, or could not observe
	placeUnobserved                    // it was planned, and has no results
)

// noResults is the text of placeUnobserved.
const noResults = "planned, but there are no results of it"

// placeLine is one thing that speaks against a place.
type placeLine struct {
	status placeStatus
	text   string
}

// placeLines lists what speaks against one place.
func placeLines(run model.Run, p model.Place) []placeLine {
	results := filter(baseline(run), func(r model.Result) bool { return r.Place == p })
	if len(results) == 0 {
		if skipOf(run, p) != "" {
			return nil
		}
		return []placeLine{{placeUnobserved, clean(p.String()) + ": " + noResults}}
	}
	var lines []placeLine
	for _, r := range results {
		if !r.Outcome.Bad() && r.Outcome.Valid() {
			continue
		}
		line := fmt.Sprintf("%s: %s %s: %s %s", p, r.Probe, r.Target, r.Outcome, r.Reason)
		if m := r.Detail.Message; m != "" {
			line += ": " + m
		}
		lines = append(lines, placeLine{placeFails, clean(line)})
	}
	return lines
}

// baseline is the deciding attempt of each probe as the runner was found.
func baseline(run model.Run) []model.Result {
	return model.Final(filter(run.Results, func(r model.Result) bool { return r.Round == model.RoundBaseline }))
}

// Places lists the places of a run in table order: what was planned, and what
// has results.
func Places(run model.Run) []model.Place {
	var places []model.Place
	for _, item := range run.Plan.Items {
		places = append(places, item.Place)
	}
	for _, r := range run.Results {
		places = append(places, r.Place)
	}
	slices.SortFunc(places, model.ComparePlaces)
	return slices.Compact(places)
}

func skipOf(run model.Run, p model.Place) string {
	for _, item := range run.Plan.Items {
		if item.Place == p {
			return item.Skip
		}
	}
	return ""
}

// Summary counts the baseline in one line: "7 environments, 91 probes: 80 pass, 6 fail".
func Summary(run model.Run) string {
	results, counts := baseline(run), map[model.Outcome]int{}
	places := map[model.Place]bool{}
	for _, r := range results {
		counts[r.Outcome]++
		places[r.Place] = true
	}
	line := fmt.Sprintf("%s, %s", plural(len(places), "environment"), plural(len(results), "probe"))
	var parts []string
	for _, o := range model.Outcomes() {
		if n := counts[o]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, o))
			delete(counts, o)
		}
	}
	unknown := 0
	for _, n := range counts {
		unknown += n
	}
	if unknown > 0 {
		parts = append(parts, fmt.Sprintf("%d unknown", unknown))
	}
	if len(parts) == 0 {
		return line
	}
	return line + ": " + strings.Join(parts, ", ")
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
