package diagnose

import (
	"fmt"
	"slices"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/remedy/catalogue"
)

// matchRegistryDown needs other sites that answer in the same places.
func matchRegistryDown(v *view) []Hypothesis {
	registries := set(hosts(filter(v.base, func(r model.Result) bool { return r.Probe == model.ProbeRegistryPull })))
	failed := filter(v.failedWith(model.ServerError, model.RegistryError, model.Refused, model.ConnectTimeout, model.ReadTimeout, model.Unreachable),
		func(r model.Result) bool {
			_, local := v.complaintOf(r) // what was downloaded is no matter of the registry
			return registries[targetHost(r)] && !allIPv6(r) && !local && !servesFromHere(r)
		})
	// A pull that was not made, as one failed whose registry serves, tells nothing of it.
	if !slices.ContainsFunc(failed, func(r model.Result) bool { return tcpLike(r) || r.Probe == model.ProbeRegistryPull }) {
		return nil
	}
	if v.sameElsewhere(failed) || v.explainedAlready(failed) {
		return nil
	}
	h := v.symptom(CauseRegistryDown, failed, fmt.Sprintf("%s does not serve (%s)", join(hosts(failed)), failuresText(failed)))
	v.oneSite(&h, failed)
	h.follow(filter(v.failedWith(model.ImageNotFound, model.RegistryError), func(r model.Result) bool {
		return r.Probe == model.ProbeDockerRun || r.Probe == model.ProbeDockerBuild
	}))
	h.follow(v.startsThatSay(saysPull, saysRegistry))
	return []Hypothesis{h}
}

// sameElsewhere reports whether other sites fail in the same way: that is no
// matter of one site.
func (v *view) sameElsewhere(failed []model.Result) bool {
	sites, places, reasons := set(hosts(failed)), placesOf(failed), map[model.Reason]bool{}
	for _, f := range failed {
		reasons[f.Reason] = true
	}
	return slices.ContainsFunc(v.base, func(r model.Result) bool {
		return tcpLike(r) && r.Outcome.Bad() && slices.Contains(places, r.Place) && reasons[r.Reason] && !sites[targetHost(r)]
	})
}

// explainedAlready reports whether the same sites fail in the same places for a
// cause that was found: what is left of them is its consequence.
func (v *view) explainedAlready(failed []model.Result) bool {
	sites, places := set(hosts(failed)), placesOf(failed)
	return slices.ContainsFunc(v.base, func(r model.Result) bool {
		return v.explained[r.Ref()] && r.Outcome.Bad() && tcpLike(r) && sites[targetHost(r)] && slices.Contains(places, r.Place)
	})
}

// oneSite contradicts where the site answers properly somewhere, or no other
// site is known to answer.
func (v *view) oneSite(h *Hypothesis, failed []model.Result) {
	sites, places := set(hosts(failed)), placesOf(failed)
	same := map[question]bool{}
	for _, f := range failed {
		same[asks(f)] = true
	}
	in := func(r model.Result) bool { return tcpLike(r) && slices.Contains(places, r.Place) }
	h.contradict(filter(v.base, func(r model.Result) bool {
		return passed(r) && sites[targetHost(r)] && r.Probe != model.ProbeTCP && same[asks(r)]
	}), "the same is served elsewhere")
	others := filter(v.base, func(r model.Result) bool { return in(r) && !sites[targetHost(r)] })
	if good := filter(others, passed); len(good) > 0 {
		h.Finding.Evidence = append(h.Finding.Evidence, model.Evidence{Refs: refsOf(good), Text: fmt.Sprintf("%s %s there", join(hosts(good)), serve(len(hosts(good))))})
	} else {
		h.contradict(failed, "no other site is known to answer there")
	}
}

func serve(n int) string {
	if n == 1 {
		return "answers"
	}
	return "answer"
}

func matchRegistryRateLimit(v *view) []Hypothesis {
	failed := v.failedWith(model.RateLimited)
	if len(failed) == 0 {
		return nil
	}
	h := v.symptom(CauseRegistryRateLimit, failed, fmt.Sprintf("%s answers 429", join(hosts(failed))))
	h.follow(v.startsThatSay(saysRateLimit, saysPull))
	remedy := catalogue.Named(catalogue.RegistryMirror, nil)
	h.Finding.Remedy = &remedy
	return []Hypothesis{h}
}

// mirrors are the hosts of the sources of apt.
func (v *view) mirrors() []string {
	return hosts(filter(v.base, func(r model.Result) bool { return r.Probe == model.ProbeAptUpdate }))
}

func matchAptMirror5xx(v *view) []Hypothesis {
	failed, mirrors := v.failedWith(model.ServerError), set(v.mirrors())
	failed = filter(failed, func(r model.Result) bool {
		return r.Probe == model.ProbeAptUpdate || r.Probe == model.ProbeAptInstall || mirrors[targetHost(r)]
	})
	if len(hosts(failed)) == 0 {
		return nil
	}
	h := v.symptom(CauseAptMirror5xx, failed, fmt.Sprintf("%s answers 5xx", join(hosts(failed))))
	h.contradict(filter(v.base, func(r model.Result) bool { return r.Probe == model.ProbeAptUpdate && passed(r) }), "apt-update passes elsewhere")
	h.follow(v.startsThatSay(saysInstall))
	return []Hypothesis{h}
}

// matchSlowMirror: apt ran out of time at a mirror that answers small requests.
func matchSlowMirror(v *view) []Hypothesis {
	mirrors := set(v.mirrors())
	failed := filter(v.failedWith(model.DeadlineExceeded, model.ReadTimeout, model.PackageManager, model.MTU), func(r model.Result) bool {
		apt := r.Probe == model.ProbeAptUpdate || r.Probe == model.ProbeAptInstall
		return apt || mirrors[targetHost(r)] && trickled(r)
	})
	if !slices.ContainsFunc(failed, func(r model.Result) bool { return r.Reason == model.DeadlineExceeded || r.Reason == model.ReadTimeout }) {
		return nil
	}
	h := v.symptom(CauseSlowMirror, failed, fmt.Sprintf("apt ran out of time at %s", join(v.mirrors())))
	places := placesOf(failed)
	quick := filter(v.base, func(r model.Result) bool {
		return r.Probe == model.ProbeHTTP && passed(r) && slices.Contains(places, r.Place) && mirrors[targetHost(r)]
	})
	updates := filter(failed, func(r model.Result) bool { return r.Probe == model.ProbeAptUpdate })
	updated := map[string]bool{}
	for _, r := range updates {
		updated[r.Target] = true
	}
	if len(quick) > 0 {
		h.Finding.Evidence = append(h.Finding.Evidence, model.Evidence{Refs: refsOf(quick), Text: "it answers small requests at once"})
	} else {
		h.contradict(failed, "it does not answer small requests either")
	}
	h.contradict(filter(v.base, func(r model.Result) bool {
		return r.Probe == model.ProbeAptUpdate && passed(r) && slices.Contains(places, r.Place)
	}), "the mirror's lists came in time there: what took too long is the machine's own work")
	h.contradict(filter(v.base, func(r model.Result) bool {
		return r.Probe == model.ProbeAptUpdate && passed(r) && !slices.Contains(places, r.Place) &&
			(len(updates) < len(failed) || updated[r.Target])
	}), "the same mirror's lists came in time elsewhere")
	h.contradict(filter(v.failedWith(model.MTU), func(r model.Result) bool { return !trickled(r) && slices.Contains(places, r.Place) }),
		"large packets do not come through at all")
	h.follow(v.startsThatSay(saysInstall, saysDeadline))
	return []Hypothesis{h}
}
