package diagnose

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/nestlab/nestlab/model"
)

// silentPath is a bridge of the runner and the places behind it whose
// connections get no answer, though the runner gets one.
type silentPath struct {
	// bridge is empty where the places' own facts do not tell it.
	bridge string
	places []model.Place
	// silent are the failures: nothing came back here, something did on the runner.
	silent []model.Result
	// lost are those which fail on the runner as well.
	lost []model.Result
}

// silentPaths groups the places whose connections time out by the bridge that
// their packets are forwarded from. Docker's own bridges are none of them:
// Docker accepts those in rules of their own.
func (v *view) silentPaths() []silentPath {
	return slices.DeleteFunc(v.allSilentPaths(), func(s silentPath) bool { return v.dockerBridge(s.bridge) })
}

// allSilentPaths is the same with Docker's own bridges.
func (v *view) allSilentPaths() []silentPath {
	var paths []silentPath
	for _, p := range v.places() {
		bridge, attached := v.attached(p)
		if !attached {
			continue
		}
		silent, lost := v.silentIn(p)
		if len(silent)+len(lost) == 0 {
			continue
		}
		i := slices.IndexFunc(paths, func(s silentPath) bool { return s.bridge == bridge })
		if i < 0 {
			i = len(paths)
			paths = append(paths, silentPath{bridge: bridge})
		}
		paths[i].places = append(paths[i].places, p)
		paths[i].silent = append(paths[i].silent, silent...)
		paths[i].lost = append(paths[i].lost, lost...)
	}
	return paths
}

// merged is several paths as one, for what concerns all that is forwarded.
func merged(paths []silentPath) silentPath {
	var all silentPath
	for _, p := range paths {
		all.places = append(all.places, p.places...)
		all.silent = append(all.silent, p.silent...)
		all.lost = append(all.lost, p.lost...)
	}
	if len(paths) == 1 {
		all.bridge = paths[0].bridge
	}
	return all
}

// silentIn splits a place's unexplained losses to the outside by what the runner
// got for the same target. Without a control there is nothing to say.
func (v *view) silentIn(p model.Place) (silent, lost []model.Result) {
	facts := v.facts(p)
	for _, r := range v.unexplained() {
		if r.Place != p || r.Outcome != model.Fail || !lostOutside(r, facts) {
			continue
		}
		switch c, ok := v.control(r); {
		case ok && passed(c):
			silent = append(silent, r)
		case ok:
			lost = append(lost, r)
		}
	}
	return silent, lost
}

// lostOutside reports whether nothing came back of what was sent to the outside:
// of a connection, or of a question to a resolver that is out there.
func lostOutside(r model.Result, f *model.Facts) bool {
	if r.Reason == model.ConnectTimeout {
		return tcpLike(r) && outside(r, f) && !halfAnswered(r)
	}
	return r.Reason == model.DNSTimeout && (tcpLike(r) || r.Probe == model.ProbeDNSA) && resolvesOutside(f)
}

// resolvesOutside reports whether all resolvers of a place are beyond its networks.
func resolvesOutside(f *model.Facts) bool {
	if f == nil || len(f.Resolvers) == 0 {
		return false
	}
	for _, s := range f.Resolvers {
		a, err := netip.ParseAddr(s)
		if err != nil || a.IsLoopback() || slices.ContainsFunc(networks(f), func(n netip.Prefix) bool { return n.Contains(a) }) {
			return false
		}
	}
	return true
}

// attached is the runner's bridge that a place is behind, found by its default
// gateway or else its address; that of an inner container is its daemon's. It is
// false where the place's packets do not come from a bridge.
func (v *view) attached(p model.Place) (bridge string, ok bool) {
	if p.Environment == model.EnvDindInner {
		p.Environment = model.EnvDind
	}
	if p.Environment == model.EnvBridge {
		return p.Name, true
	}
	runner, facts := v.facts(v.runner()), v.facts(p)
	if p == v.runner() || runner == nil {
		return "", false
	}
	if facts == nil {
		return "", bridged(p)
	}
	for _, a := range attachments(facts) {
		for _, i := range runner.Interfaces {
			if i.Type == "bridge" && holds(i, a) {
				return i.Name, true
			}
		}
	}
	return "", bridged(p)
}

// bridged reports whether a place is on a bridge of the runner, whatever its facts say.
func bridged(p model.Place) bool {
	return slices.Contains([]string{model.EnvBridge, model.EnvGuest, model.EnvLXDContainer, model.EnvLXDVM, model.EnvQEMUBridge}, p.Environment)
}

// attachments are a place's default gateways, then its own IPv4 addresses.
func attachments(f *model.Facts) []netip.Addr {
	var all []netip.Addr
	for _, r := range f.Routes {
		if a, err := netip.ParseAddr(r.Gateway); err == nil && r.Destination == "default" && a.Is4() {
			all = append(all, a)
		}
	}
	for _, n := range networks(f) {
		if n.Addr().Is4() && !n.Addr().IsLoopback() {
			all = append(all, n.Addr())
		}
	}
	return all
}

func holds(i model.Interface, a netip.Addr) bool {
	return slices.ContainsFunc(i.Addresses, func(s string) bool {
		p, err := netip.ParsePrefix(s)
		return err == nil && p.Contains(a)
	})
}

// dockerBridge reports whether a bridge is one of Docker's: by its name, on a runner that
// has Docker, or had it.
func (v *view) dockerBridge(name string) bool {
	if !v.hasDocker() {
		return false
	}
	if name == "docker0" {
		return true
	}
	id, ok := strings.CutPrefix(name, "br-")
	return ok && len(id) == 12 && strings.Trim(id, "0123456789abcdef") == ""
}

// dependents are the failures in places of what needs connections to the outside
// and works on the runner, or has no control there.
func (v *view) dependents(places []model.Place) []model.Result {
	return filter(v.needing(places), func(r model.Result) bool {
		c, ok := v.control(r)
		return !ok || passed(c)
	})
}

// needing are the failures in places of what needs connections to the outside.
// What is behind Docker's bridges is also set up over them: an environment that
// did not come up is among them.
func (v *view) needing(places []model.Place) []model.Result {
	probes := []string{
		model.ProbeDNSA, model.ProbeDNSAAAA, model.ProbeFirst, model.ProbeICMP, model.ProbePathMTU, model.ProbeAptUpdate, model.ProbeAptInstall,
		model.ProbeDockerInstall, model.ProbeRegistryPull, model.ProbeDockerRun, model.ProbeDockerBuild,
	}
	reasons := []model.Reason{
		model.ConnectTimeout, model.DeadlineExceeded, model.ReadTimeout, model.PackageManager, model.RegistryError,
		model.NoReply, model.BuildFailed, model.ContainerFailed, model.MTU, model.DNSTimeout, model.DNSServFail, model.Unreachable,
	}
	docker := slices.ContainsFunc(places, func(p model.Place) bool { return nested(p) })
	return filter(v.unexplained(), func(r model.Result) bool {
		if r.Probe == model.ProbeStart {
			return docker && nested(r.Place)
		}
		return slices.Contains(places, r.Place) && slices.Contains(probes, r.Probe) && slices.Contains(reasons, r.Reason)
	})
}

// nested reports whether a place is a container of a Docker daemon.
func nested(p model.Place) bool {
	return slices.Contains([]string{model.EnvContainer, model.EnvDind, model.EnvDindInner}, p.Environment)
}

// pathContradictions speak against packets of a path being lost where the
// runner forwards them.
func (v *view) pathContradictions(path silentPath) []model.Evidence {
	var all []model.Evidence
	if len(path.silent) == 0 {
		all = append(all, model.Evidence{Refs: v.controlsOf(path.lost),
			Text: "the runner itself fails the same targets"})
	}
	for _, p := range v.places() {
		bridge, attached := v.attached(p)
		if !attached || (path.bridge != "" && bridge != path.bridge) || (path.bridge == "" && !slices.Contains(path.places, p)) {
			continue
		}
		facts := v.facts(p)
		back := filter(v.of(p), func(r model.Result) bool { return tcpLike(r) && answered(r) && outside(r, facts) })
		if len(back) > 0 {
			all = append(all, model.Evidence{Refs: refsOf(back),
				Text: fmt.Sprintf("%s gets answers from outside by the same path", p)})
		}
		if e, ok := noAddress(p, facts); ok && slices.Contains(path.places, p) {
			all = append(all, e)
		}
	}
	return all
}

// noAddress reports whether a place has nothing to send packets from or by.
func noAddress(p model.Place, f *model.Facts) (model.Evidence, bool) {
	if f == nil || len(f.Interfaces) == 0 || leased(f) {
		return model.Evidence{}, false
	}
	return model.Evidence{Refs: []string{model.FactsRef(p, factInterfaces)},
		Text: fmt.Sprintf("%s has no IPv4 address with a default route: its packets do not get as far as the runner", p)}, true
}

// leased reports whether a place has an IPv4 address and a default route.
func leased(f *model.Facts) bool {
	address := slices.ContainsFunc(networks(f), func(n netip.Prefix) bool {
		a := n.Addr()
		return a.Is4() && !a.IsLoopback() && !a.IsLinkLocalUnicast()
	})
	return address && slices.ContainsFunc(f.Routes, func(r model.Route) bool { return r.Destination == "default" })
}

// controlsOf are the references of the runner's results for the same targets.
func (v *view) controlsOf(results []model.Result) []string {
	var refs []string
	for _, r := range results {
		if c, ok := v.control(r); ok {
			refs = append(refs, c.Ref())
		}
	}
	return unique(refs)
}

// pathEvidence is the symptom: silence here, answers on the runner, names that
// resolve and an address all the same.
func (v *view) pathEvidence(path silentPath) []model.Evidence {
	evidence := []model.Evidence{{Refs: v.controlsOf(path.silent),
		Text: fmt.Sprintf("the runner reaches the same %s", count(len(v.controlsOf(path.silent)), "target"))}}
	for _, p := range path.places {
		mine := filter(path.silent, func(r model.Result) bool { return r.Place == p })
		evidence = append(evidence, model.Evidence{Refs: refsOf(mine), Text: fmt.Sprintf(
			"in %s nothing answers: %s (%s)", p, failuresText(mine), probesText(mine))})
		if names := v.resolving(p); len(names) > 0 {
			evidence = append(evidence, model.Evidence{Refs: refsOf(names), Text: fmt.Sprintf("names resolve in %s", p)})
		}
		if f := v.facts(p); f != nil && leased(f) {
			evidence = append(evidence, model.Evidence{
				Refs: []string{model.FactsRef(p, factInterfaces), model.FactsRef(p, factRoutes)},
				Text: fmt.Sprintf("%s has an address and a default route", p)})
		}
	}
	return evidence
}

// resolving are the name look-ups that worked in a place.
func (v *view) resolving(p model.Place) []model.Result {
	return slices.Clip(v.indexed().resolving[p])
}
