package diagnose

import (
	"fmt"
	"slices"

	"github.com/nestlab/nestlab/model"
)

// matchDaemonFailed takes what no other rule has a name for: a daemon that did not start.
// The title is the daemon's own last words.
func matchDaemonFailed(v *view) []Hypothesis {
	failed, first := v.complaining(func(r model.Result, c complaint) bool {
		return c.cause == "" && (r.Probe == model.ProbeStart || r.Reason == model.DaemonDown) && !v.spaceOrMemory(r)
	})
	if len(failed) == 0 {
		failed = filter(v.failedWith(model.DaemonDown), func(r model.Result) bool {
			_, known := v.complaintOf(r)
			return !known && r.Probe == model.ProbeDockerPing
		})
		if len(failed) == 0 {
			return nil
		}
		h := v.symptom(CauseDaemonFailed, failed, "no daemon answers, and no log of it was found")
		h.unnamed, h.Finding.Title = true, "No Docker daemon answers"
		h.follow(filter(v.failedWith(model.DaemonDown), within(placesOf(failed)...)))
		return []Hypothesis{h}
	}
	h := v.complained(CauseDaemonFailed, failed, first)
	h.unnamed = true
	d, typed := v.run.Daemon(placesOf(failed)[0])
	switch {
	case typed && d.State == model.DaemonSilent:
		h.Finding.Title = titled(titleDaemonFailed, "it runs, and its API does not answer")
	case first.words != "":
		h.Finding.Title = titled(titleDaemonFailed, first.words)
	}
	return []Hypothesis{h}
}

// matchContainerFailed takes containers and builds that fail though the daemon runs, and
// that nothing else explains, and pulls that the registry is not in the way of.
func matchContainerFailed(v *view) []Hypothesis {
	failed := slices.Concat(v.failedWith(model.ContainerFailed, model.BuildFailed), filter(v.failedWith(model.RegistryError), servesFromHere), v.startsThatSay(saysContainer))
	failed = filter(failed, func(r model.Result) bool {
		c, _ := v.complaintOf(r)
		return c.cause == "" && !v.spaceOrMemory(r) && !v.settled(r) && r.Detail.Message != ""
	})
	if len(failed) == 0 {
		return nil
	}
	words := lastLine(failed[0].Detail.Message)
	h := v.symptom(CauseContainerFailed, failed, "what was said of it: "+words)
	h.unnamed, h.Finding.Title = true, titled(titleContainerFailed, words)
	served(&h, failed)
	return []Hypothesis{h}
}

// The titles that a daemon's own words follow.
const (
	titleDaemonFailed    = "dockerd does not start"
	titleContainerFailed = "Containers fail"
)

// titled is a title that ends in what was said.
func titled(title, words string) string {
	return fmt.Sprintf("%s: %s", title, shorten(words))
}

// spaceOrMemory reports whether a failure is one of space or memory, which have rules of
// their own.
func (v *view) spaceOrMemory(r model.Result) bool {
	return ranOutOfMemory(r) || r.Reason == model.DiskFull || startSays(r, saysNoSpace)
}

// lastWords lists what the daemons that failed said of it, whatever the diagnosis.
func (v *view) lastWords() []model.LastWords {
	var all []model.LastWords
	heardOf := map[model.Place]bool{}
	for _, p := range v.places() {
		for _, r := range v.of(p) {
			if !r.Outcome.Bad() || r.Probe != model.ProbeStart && r.Reason != model.DaemonDown {
				continue
			}
			c, ok := v.complaintOf(r)
			d, typed := v.run.Daemon(p)
			failed := typed || r.Reason == model.DaemonDown || startSays(r, saysDockerd)
			if !ok || !failed || c.words == "" || heardOf[p] {
				continue
			}
			heardOf[p] = true
			w := model.LastWords{Place: p.String(), Program: "dockerd", Lines: model.LogLines(c.words), Refs: []string{r.Ref()}}
			if typed {
				w.Program, w.Refs = d.Program, append(w.Refs, d.Ref())
			}
			all = append(all, w)
		}
	}
	return all
}

// commonAPI is the minor version of the oldest API that daemons spoke for many years.
const commonAPI = 24

// oldClients notes the daemons that refuse what many clients still speak.
func (v *view) oldClients() string {
	says := ""
	for _, p := range v.places() {
		f := v.facts(p)
		if f == nil || f.Docker == nil {
			continue
		}
		var minor int
		if _, err := fmt.Sscanf(f.Docker.MinAPI, "1.%d", &minor); err == nil && minor > commonAPI {
			says += fmt.Sprintf(" Docker %s in %s refuses clients that speak an API older than %s.", f.Docker.Version, p, f.Docker.MinAPI)
		}
	}
	return says
}
