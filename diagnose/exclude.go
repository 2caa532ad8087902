package diagnose

import (
	"fmt"
	"slices"

	"github.com/nestlab/nestlab/model"
)

// excludedByControls are excluded by what works in the affected places and on the runner,
// whatever is lost on the runner's own way.
var excludedByControls = []exclusion{
	{CauseDNSBlocked, resolvesThere}, {CauseRunnerOffline, runnerReaches}, {CauseDHCPBlocked, hasLease}, {CauseIPForwardOff, forwardingIsOn},
}

func droppedByDockerFirst(v *view, f model.Finding) (string, []string, bool) {
	n, refs := v.droppedByDocker(f)
	return droppedFirst(n), refs, n > 0
}

func droppedByRuleFirst(v *view, f model.Finding) (string, []string, bool) {
	packets, refs := uint64(0), []string{}
	for _, p := range v.affected(f) {
		for _, d := range foreignDrops(v.watch(p)) {
			packets += d.Packets
			refs = append(refs, d.watch.Ref())
		}
	}
	return droppedFirst(packets), slices.Compact(refs), packets > 0
}

func droppedFirst(packets uint64) string {
	return fmt.Sprintf("%s in the runner's own forward chain, before the uplink", dropped(packets))
}

func leftOnUplink(v *view, f model.Finding) (string, []string, bool) {
	return "the packets got past the runner's FORWARD chain: they were seen leaving on the uplink", v.watchRefs(f), true
}

func cameBackWithRemedy(_ *view, f model.Finding) (string, []string, bool) {
	if f.Confidence != model.Proven {
		return "", nil, false
	}
	return "with the remedy alone connections pass: answers find their way back", f.Proof.Rounds[1].Refs, true
}

func resolvesThere(v *view, f model.Finding) (string, []string, bool) {
	refs, ok := v.everywhere(v.affected(f), v.resolving)
	return "names resolve in every affected environment", refs, ok
}

func runnerReaches(v *view, _ model.Finding) (string, []string, bool) {
	controls := filter(v.of(v.runner()), func(r model.Result) bool { return tcpLike(r) && passed(r) })
	return "the control passes: the runner reaches what the affected environments do not", refsOf(controls), len(controls) > 0
}

func hasLease(v *view, f model.Finding) (string, []string, bool) {
	refs, ok := v.allLeased(v.affected(f))
	return "every affected environment has an IPv4 address and a default route", refs, ok
}

func forwardingIsOn(v *view, _ model.Finding) (string, []string, bool) {
	r := noIPForwardOff(v)
	if r == nil {
		return "", nil, false
	}
	return r.Why, r.Refs, true
}

// everywhere gathers references of what some look finds in each of the places.
func (v *view) everywhere(places []model.Place, look func(model.Place) []model.Result) ([]string, bool) {
	var refs []string
	for _, p := range places {
		found := look(p)
		if len(found) == 0 {
			return nil, false
		}
		refs = append(refs, refsOf(found)...)
	}
	return refs, len(refs) > 0
}

func (v *view) allLeased(places []model.Place) ([]string, bool) {
	var refs []string
	for _, p := range places {
		f := v.facts(p)
		if f == nil || !leased(f) {
			return nil, false
		}
		refs = append(refs, model.FactsRef(p, factInterfaces), model.FactsRef(p, factRoutes))
	}
	return refs, len(refs) > 0
}
