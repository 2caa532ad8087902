package diagnose

import (
	"fmt"
	"slices"
	"strings"

	"github.com/nestlab/nestlab/model"
)

// symptom is a hypothesis that rests on what failed and how, wherever it failed.
// What says is the first evidence's sentence, for the results that it explains.
func (v *view) symptom(cause string, explains []model.Result, says string) Hypothesis {
	h := Hypothesis{Finding: model.Finding{Cause: cause, Confidence: model.Supported, Evidence: []model.Evidence{}}}
	places := placesOf(explains)
	for _, p := range places {
		h.Finding.Environments = append(h.Finding.Environments, p.String())
	}
	h.Explains = refsOf(explains)
	h.Finding.Evidence = append(h.Finding.Evidence, model.Evidence{Refs: h.Explains, Text: says})
	for _, p := range places {
		mine := filter(explains, func(r model.Result) bool { return r.Place == p })
		h.Finding.Evidence = append(h.Finding.Evidence, model.Evidence{Refs: refsOf(mine),
			Text: fmt.Sprintf("in %s %s (%s)", p, failuresText(mine), probesText(mine))})
	}
	follows := v.needing(places)
	if slices.Contains(places, v.runner()) {
		// What the runner itself lacks, nothing in it can be set up with.
		follows = append(follows, filter(v.unexplained(), func(r model.Result) bool { return r.Probe == model.ProbeStart && nested(r.Place) })...)
	}
	h.follow(follows)
	h.follow(v.notTried(explains))
	return h
}

// notTried are the failures of probes that were not made, as the one before them
// had failed: apt-install without lists, a container without an image.
func (v *view) notTried(explained []model.Result) []model.Result {
	needs := map[string]string{
		model.ProbeAptInstall: model.ProbeAptUpdate, model.ProbeDockerRun: model.ProbeRegistryPull, model.ProbeDockerBuild: model.ProbeRegistryPull,
	}
	type failure struct {
		model.Place
		probe  string
		reason model.Reason
	}
	failed := map[failure]bool{}
	for _, e := range explained {
		failed[failure{e.Place, e.Probe, e.Reason}] = true
	}
	return filter(v.unexplained(), func(r model.Result) bool { return failed[failure{r.Place, needs[r.Probe], r.Reason}] })
}

func placesOf(results []model.Result) []model.Place {
	var places []model.Place
	for _, r := range results {
		places = append(places, r.Place)
	}
	places = unique(places)
	slices.SortFunc(places, model.ComparePlaces)
	return places
}

// failedWith lists the failures of some reasons, those of set-ups left out.
func (v *view) failedWith(reasons ...model.Reason) []model.Result {
	return filter(v.unexplained(), func(r model.Result) bool { return r.Probe != model.ProbeStart && slices.Contains(reasons, r.Reason) })
}

// scope says whether a cause has to do with nesting at all.
func (v *view) scope(f model.Finding) string {
	places := v.affected(f)
	switch {
	case slices.Contains(places, v.runner()):
		return " The runner itself has it too, so nesting is not the cause."
	case f.Cause == CauseV6NoRoute && v.lacksIPv6(f):
		return " The runner itself reaches them by IPv4 alone."
	case len(v.of(v.runner())) > 0:
		return " The runner itself does not have it."
	}
	return ""
}

// sentence starts with a capital, unless a name is first.
func sentence(s string) string {
	first, _, _ := strings.Cut(s, " ")
	if s == "" || strings.ContainsAny(first, ".-0123456789") {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// contradict adds what speaks against a hypothesis, if there is anything.
func (h *Hypothesis) contradict(results []model.Result, says string) {
	if len(results) > 0 {
		h.Contradictions = append(h.Contradictions, model.Evidence{Refs: refsOf(results), Text: says})
	}
}

// test offers the intervention that decides: in the places of what it explains,
// unless others are given.
func (h *Hypothesis) test(r model.Remedy, places ...model.Place) {
	h.Finding.Remedy = &r
	h.Intervention = &Intervention{
		Intervention: model.Intervention{
			Cause: h.Finding.Cause, Remedy: r, Intervened: model.RoundIntervened, Reverted: model.RoundReverted,
		},
		Places: places,
	}
}

// narrow leaves of what a hypothesis explains what its intervention can reach: the
// results that keep takes, in the places that are probed again. The others are its
// consequence. It is false where nothing is left, and so no intervention.
func (h *Hypothesis) narrow(results []model.Result, keep func(model.Result) bool) bool {
	kept := filter(results, keep)
	if len(kept) == 0 {
		h.Intervention = nil
		return false
	}
	h.Explains = refsOf(kept)
	h.follow(results)
	explains := set(h.Explains)
	h.Follows = slices.DeleteFunc(h.Follows, func(ref string) bool { return explains[ref] })
	return true
}

// ofTheRunner leaves a hypothesis what the runner's own daemon can show. Where it is
// that of another place alone, the runner's remedy is none for it.
func (v *view) ofTheRunner(h *Hypothesis, failed []model.Result) {
	if !h.narrow(failed, within(v.runner())) {
		h.Finding.Remedy = nil
	}
}

// within selects the results of places.
func within(places ...model.Place) func(model.Result) bool {
	return func(r model.Result) bool { return slices.Contains(places, r.Place) }
}

// hosts are the different hosts that results are about.
func hosts(results []model.Result) []string {
	var all []string
	for _, r := range results {
		if h := targetHost(r); h != "" {
			all = append(all, h)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// targetHost is the host that a probe is about: of a URL, HOST:PORT, an image's
// reference or a line of sources.list.
func targetHost(r model.Result) string {
	switch r.Probe {
	case model.ProbeAptUpdate:
		for _, word := range strings.Fields(r.Target) {
			if strings.Contains(word, "://") {
				return hostOf(word)
			}
		}
		return ""
	case model.ProbeRegistryPull, model.ProbeDockerRun, model.ProbeDockerBuild:
		return registryOf(r.Target)
	case model.ProbeAptInstall, model.ProbeDockerPing, model.ProbeStart:
		return ""
	}
	target := r.Target
	if method, u, found := strings.Cut(target, " "); found && method == strings.ToUpper(method) {
		target = u
	}
	return hostOf(target)
}

// registryOf is the registry of an image's reference; one without is Docker Hub's.
func registryOf(ref string) string {
	first, _, found := strings.Cut(ref, "/")
	if found && (strings.ContainsAny(first, ".:") || first == "localhost") {
		return hostOf(first)
	}
	return "registry-1.docker.io"
}
