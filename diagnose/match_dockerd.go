package diagnose

import (
	"fmt"
	"slices"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/remedy/catalogue"
)

// complaining lists the failures that a daemon or its runtime has words for, and the first
// of these, where keep takes them.
func (v *view) complaining(keep func(model.Result, complaint) bool) ([]model.Result, complaint) {
	var failed []model.Result
	var first complaint
	for _, r := range v.unexplained() {
		c, ok := v.complaintOf(r)
		if !ok || v.settled(r) || !keep(r, c) {
			continue
		}
		if len(failed) == 0 {
			first = c
		}
		failed = append(failed, r)
	}
	return failed, first
}

// settled reports whether what was read of dockerd and its place explains a failure: words
// decide nothing there.
func (v *view) settled(r model.Result) bool {
	if v.facted == nil {
		v.facted = map[string]bool{}
		for _, match := range []func(*view) []Hypothesis{matchDockerdSetting, matchDockerdStopped, matchSocketPath, matchRegistryCertificates, (*view).readOnlyData, (*view).tasksReached} {
			for _, h := range match(v) {
				for _, ref := range h.Explains {
					v.facted[ref] = v.facted[ref] || h.Stands()
				}
			}
		}
	}
	return v.facted[r.Ref()]
}

// daemonSays makes a hypothesis of failures whose daemon, or container runtime, named one
// cause.
func (v *view) daemonSays(cause string) []Hypothesis {
	failed, first := v.complaining(func(_ model.Result, c complaint) bool { return c.cause == cause })
	if len(failed) == 0 {
		return nil
	}
	return []Hypothesis{v.complained(cause, failed, first)}
}

// complained is the hypothesis of what was said.
func (v *view) complained(cause string, failed []model.Result, first complaint) Hypothesis {
	says := "the daemon says: " + shorten(first.words)
	if first.subject != "" {
		says = fmt.Sprintf("it is about %s; %s", first.subject, says)
	}
	h := v.symptom(cause, failed, says)
	for _, p := range placesOf(failed) {
		if d, ok := v.run.Daemon(p); ok {
			h.Finding.Evidence = append(h.Finding.Evidence, model.Evidence{Refs: []string{d.Ref()}, Text: daemonText(d)})
		}
	}
	places := placesOf(failed)
	starts := slices.ContainsFunc(failed, func(r model.Result) bool { return r.Probe == model.ProbeStart || r.Reason == model.DaemonDown })
	h.follow(filter(v.unexplained(), func(r model.Result) bool {
		needs := []model.Reason{model.DaemonDown, model.NotStarted, model.Lost}
		return starts && slices.Contains(needs, r.Reason) && (slices.Contains(places, r.Place) || nested(r.Place))
	}))
	h.follow(filter(v.unexplained(), func(r model.Result) bool { return slices.Contains(places, r.Place) && v.withoutImage(r) }))
	return h
}

// withoutImage reports whether a container or a build was not tried, for want of an image.
func (v *view) withoutImage(r model.Result) bool {
	return r.Probe == model.ProbeDockerRun && r.Reason == model.ImageNotFound || r.Probe == model.ProbeDockerBuild &&
		slices.Contains([]model.Reason{model.ImageNotFound, model.ContainerFailed, model.BuildFailed}, r.Reason)
}

// daemonText says how a daemon failed.
func daemonText(d model.Daemon) string {
	switch d.State {
	case model.DaemonKilled:
		return fmt.Sprintf("%s in %s was killed by the signal %s", d.Program, d.Place, d.Signal)
	case model.DaemonSilent:
		return fmt.Sprintf("%s in %s runs, and its API does not answer", d.Program, d.Place)
	default:
		return fmt.Sprintf("%s in %s ended by itself with exit code %d", d.Program, d.Place, d.ExitCode)
	}
}

func matchStorageDriver(v *view) []Hypothesis {
	all := v.daemonSays(CauseStorageDriver)
	failed := filter(v.failedWith(model.StorageDriver), func(r model.Result) bool {
		c, ok := v.complaintOf(r)
		return (!ok || c.cause == "") && !v.settled(r)
	})
	if len(failed) == 0 {
		return all
	}
	says := "a storage driver is in use that does not work or is a slow one"
	if d := failed[0].Detail.Values["storage_driver"]; d != "" {
		says = "the storage driver is " + d
	}
	h := v.symptom(CauseStorageDriver, failed, says)
	// Only the runner's own daemon is for the runner's remedies.
	h.test(catalogue.Named(catalogue.StorageDriver, map[string]string{"driver": "overlay2"}), v.runner())
	v.ofTheRunner(&h, failed)
	return append(all, h)
}

// daemonWantsForwarding is of a daemon that does not start without ip_forward, which its
// backend for nftables does not turn on.
func (v *view) daemonWantsForwarding() []Hypothesis {
	all := v.daemonSays(CauseIPForwardOff)
	for i := range all {
		remedy := catalogue.Named(catalogue.IPForwardOn, nil)
		all[i].Finding.Remedy = &remedy
		for _, p := range v.affected(all[i].Finding) {
			f := v.facts(p)
			if f == nil || f.IPForward == nil {
				continue
			}
			e := model.Evidence{Refs: []string{model.FactsRef(p, factIPForward)}, Text: fmt.Sprintf("ip_forward is off in %s", p)}
			if *f.IPForward {
				e.Text = fmt.Sprintf("ip_forward was on in %s when it was read, later", p)
			}
			all[i].Finding.Evidence = append(all[i].Finding.Evidence, e)
		}
	}
	return all
}

const forwardingIsNeeded = "IP forwarding is off where dockerd runs: it does not start without, or nothing of its containers gets out. " +
	"Set net.ipv4.ip_forward to 1 there"

// summarizeForwarding tells what the daemon said where it said something.
func summarizeForwarding(v *view, f model.Finding) string {
	for _, p := range v.affected(f) {
		if p.Environment == model.EnvDindInner || slices.ContainsFunc(v.of(p), func(r model.Result) bool {
			c, ok := v.complaintOf(r)
			return ok && c.cause == CauseIPForwardOff
		}) {
			return Rule{means: forwardingIsNeeded}.summarize(v, f)
		}
	}
	if on, known := v.forwards(); known && on {
		return Rule{means: "An interface of the runner does not forward"}.summarize(v, f)
	}
	return summarizeIPForwardOff(v, f)
}
