package diagnose

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/nestlab/nestlab/model"
)

// The resolvers on loopback that are somebody's.
var (
	dockerResolver  = netip.MustParseAddr("127.0.0.11")
	systemdResolver = netip.MustParseAddr("127.0.0.53")
)

// closedResolver is a resolver on loopback that a place asks, and at which nobody listens
// there: the port refuses, which is no answer of a resolver.
func closedResolver(r model.Result) (netip.Addr, bool) {
	at, err := netip.ParseAddrPort(r.Detail.Values["resolver"])
	return at.Addr(), err == nil && at.Addr().IsLoopback() && r.Reason == model.DNSRefused && r.Detail.Values["rcode"] == "" && r.Detail.Values["truncated"] == ""
}

// closedIn is that of a place, with the question that was refused.
func (v *view) closedIn(p model.Place) (netip.Addr, model.Result, bool) {
	for _, r := range v.of(p) {
		if at, closed := closedResolver(r); closed {
			return at, r, true
		}
	}
	return netip.Addr{}, model.Result{}, false
}

// matchClosedResolver is about places whose own resolver is gone: no question leaves them.
func matchClosedResolver(v *view) []Hypothesis {
	var all []Hypothesis
	for _, p := range v.places() {
		at, _, closed := v.closedIn(p)
		failed := filter(v.unexplained(), func(r model.Result) bool {
			return r.Place == p && r.Reason == model.DNSRefused && len(r.Detail.Dials) == 0
		})
		if !closed || len(failed) == 0 {
			continue
		}
		h := v.symptom(CauseNobodyListens, failed, closedText(p, at))
		h.Finding.Title = fmt.Sprintf("Nobody serves names at %s, which %s asks", at, p)
		h.contradict(v.resolving(p), "names resolve there all the same")
		h.follow(filter(v.unexplained(), func(r model.Result) bool { return r.Place == p && slices.Contains(ofDocker, r.Probe) }))
		all = append(all, h)
	}
	return all
}

// contradictClosed has a closed resolver speak against what keeps questions from others.
func (v *view) contradictClosed(h *Hypothesis, places []model.Place) {
	for _, p := range places {
		if at, r, closed := v.closedIn(p); closed {
			h.Contradictions = append(h.Contradictions, model.Evidence{Refs: []string{r.Ref()}, Text: closedText(p, at) + ": no question leaves it"})
		}
	}
}

func closedText(p model.Place, at netip.Addr) string {
	says := fmt.Sprintf("in %s nobody listens at %s port 53, the resolver that it asks", p, at)
	switch at {
	case dockerResolver:
		return says + ", Docker's for containers on networks of their own: the rules that lead there (DOCKER_OUTPUT in the nat table of the container's own network namespace) are gone, " +
			"or in a rule set that is not in force, or it is on the default bridge; make the container again"
	case systemdResolver:
		return says + ", which is systemd-resolved's: systemctl restart systemd-resolved"
	}
	return says
}
