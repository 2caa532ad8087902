package diagnose

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/nestlab/nestlab/model"
)

const titleForeignResolver = "Guests ask a resolver that does not answer, and not the runner's"

// foreignResolver: a guest asks others for names than the runner does, and its queries leave
// unanswered, while its connections and the runner's own queries are answered.
func (v *view) foreignResolver(p model.Place, s *model.Sightings, _ []model.Result) (told, bool) {
	_, attached := v.attached(p)
	runner, asked, w := v.facts(v.runner()), resolversOf(v.facts(p)), v.watch(p)
	uplink, seen := w.Uplink()
	if !attached || runner == nil || len(asked) == 0 || !seen || !s.Traced || uplink.Runner.DNSQueries <= uplink.Runner.DNSAnswers {
		return told{}, false
	}
	theirs := func(a netip.Addr) bool {
		return slices.Contains(runner.Resolvers, a.String()) || v.holderOf(a) != "" || slices.ContainsFunc(networks(runner), func(n netip.Prefix) bool { return n.Contains(a) })
	}
	named := filter(v.of(v.runner()), func(r model.Result) bool { return r.Probe == model.ProbeDNSA && passed(r) })
	connected := filter(v.of(p), func(r model.Result) bool { return tcpLike(r) && answered(r) && outside(r, v.facts(p)) })
	mine := filter(v.unexplained(), func(r model.Result) bool {
		return r.Place == p && r.Reason == model.DNSTimeout && unnamed(r) && len(r.Detail.Dials) == 0
	})
	if slices.ContainsFunc(asked, theirs) || len(named) == 0 || len(connected) == 0 || len(mine) == 0 {
		return told{}, false
	}
	text := fmt.Sprintf("%s asks %s for names: %d DNS queries left on the uplink %s and %d answers came back; the runner asks %s, and is answered",
		p, joinAddresses(asked), uplink.Runner.DNSQueries, uplink.Interface, uplink.Runner.DNSAnswers, strings.Join(runner.Resolvers, ", "))
	if len(resolversOf(runner)) == 0 {
		text += `. Docker gives containers public resolvers where the host's resolv.conf names loopback alone: name one that answers ("dns" in /etc/docker/daemon.json, --dns)`
	}
	return told{results: mine, text: text}, true
}

func joinAddresses(all []netip.Addr) string {
	var texts []string
	for _, a := range all {
		texts = append(texts, a.String())
	}
	return strings.Join(texts, ", ")
}
