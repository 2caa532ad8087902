package diagnose

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/nestlab/nestlab/model"
)

// count is "1 probe" or "4 probes".
func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// dropped is "1 packet was dropped" or "4 packets were dropped".
func dropped(packets uint64) string {
	return count(int(packets), "packet") + " " + was(int(packets)) + " dropped"
}

// was and is agree with how many there are.
func was(n int) string {
	if n == 1 {
		return "was"
	}
	return "were"
}

func is(n int) string {
	if n == 1 {
		return "is"
	}
	return "are"
}

// join is "a", "a and b" or "a, b and c".
func join(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " and " + words[len(words)-1]
}

func placesText(places []model.Place) string {
	var names []string
	for _, p := range places {
		names = append(names, p.String())
	}
	return join(names)
}

// remedyText is "docker-user-accept (bridge=lxdbr0)".
func remedyText(r model.Remedy) string {
	var parameters []string
	for _, k := range slices.Sorted(maps.Keys(r.Parameters)) {
		parameters = append(parameters, k+"="+r.Parameters[k])
	}
	if len(parameters) == 0 {
		return r.Name
	}
	return fmt.Sprintf("%s (%s)", r.Name, strings.Join(parameters, ", "))
}

// failuresText tallies failures by reason, the most frequent first:
// "5 fail with connect-timeout, 1 with dns-timeout".
func failuresText(results []model.Result) string {
	tally := map[string]int{}
	for _, r := range results {
		if r.Outcome.Bad() || !r.Outcome.Valid() {
			why := string(r.Reason)
			if why == "" {
				why = "no reason given"
			}
			tally[why]++
		}
	}
	reasons := slices.SortedFunc(maps.Keys(tally), func(a, b string) int {
		if d := tally[b] - tally[a]; d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
	var parts []string
	for i, why := range reasons {
		verb := ""
		if i == 0 {
			verb = "fail "
			if tally[why] == 1 {
				verb = "fails "
			}
		}
		parts = append(parts, fmt.Sprintf("%d %swith %s", tally[why], verb, why))
	}
	return strings.Join(parts, ", ")
}

// probesText names the probes of results, each once.
func probesText(results []model.Result) string {
	var names []string
	for _, r := range results {
		names = append(names, r.Probe)
	}
	return join(unique(names))
}

// plural is count for words that do not just take an s.
func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
