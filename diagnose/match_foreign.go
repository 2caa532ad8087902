package diagnose

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/nestlab/nestlab/model"
)

const titleForeignResolver = "Guests ask a resolver that does not answer, and not the runner's"

// foreignResolver: a guest asks others for names than the runner does, and none of its
// queries is answered, while its connections and the runner's own queries are, if that one asks
// anybody.
func (v *view) foreignResolver(p model.Place, s *model.Sightings, _ []model.Result) (told, bool) {
	_, attached := v.attached(p)
	runner, asked := v.facts(v.runner()), resolversOf(v.facts(p))
	uplink, seen := v.watch(p).Uplink()
	if !attached || runner == nil || len(asked) == 0 || !seen || !s.Traced || uplink.Runner.DNSQueries == 0 || uplink.Runner.DNSAnswers > 0 {
		return told{}, false
	}
	theirs := func(a netip.Addr) bool { return slices.Contains(runner.Resolvers, a.String()) }
	connected := filter(v.of(p), func(r model.Result) bool { return tcpLike(r) && answered(r) && outside(r, v.facts(p)) })
	mine := filter(v.unexplained(), func(r model.Result) bool {
		return r.Place == p && r.Reason == model.DNSTimeout && unnamed(r) && len(r.Detail.Dials) == 0
	})
	nobody := len(runner.Resolvers) == 0
	if slices.ContainsFunc(asked, theirs) || !nobody && len(v.resolving(v.runner())) == 0 || len(connected) == 0 || len(mine) == 0 {
		return told{}, false
	}
	text := fmt.Sprintf("%s asks %s for names: %s left on the uplink %s, and none was answered; the runner asks ",
		p, join(v.facts(p).Resolvers), plural(int(uplink.Runner.DNSQueries), "DNS query", "DNS queries"), uplink.Interface)
	if nobody {
		text += "nobody, as /etc/resolv.conf names no server"
	} else {
		text += join(runner.Resolvers) + ", and is answered"
	}
	if len(resolversOf(runner)) == 0 {
		text += `. Docker gives containers public resolvers where the host's resolv.conf names none, or loopback alone: name one that answers ("dns" in /etc/docker/daemon.json, --dns)`
	}
	return told{results: mine, text: text}, true
}
