package follow

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/observe"
	"github.com/nestlab/nestlab/observe/answer"
)

// anywhere is to any address: what a place tries is known when it was probed.
var anywhere = []observe.Flow{
	{Destination: netip.PrefixFrom(netip.IPv4Unspecified(), 0)},
	{Destination: netip.PrefixFrom(netip.IPv6Unspecified(), 0)},
}

// refused ends the watch for answers that refuse, and tells those to what was tried.
func (f *Follower) refused(s *model.Sightings, tried []Tried) {
	if f.answers == nil {
		return
	}
	report, err := f.answers.Stop()
	f.lacks(err)
	if report.Lost > 0 {
		f.lacks(fmt.Errorf("%s: %d were too many at once", answer.Source, report.Lost))
	}
	s.Refusals = refusals(report, tried)
}

// refusals are the answers that refuse what was tried, those of one sender together.
func refusals(report answer.Report, tried []Tried) []model.Refusal {
	var all []model.Refusal
	for _, a := range report.Answers {
		to := netip.AddrPortFrom(a.Refused.Destination.Addr().Unmap(), a.Refused.Destination.Port())
		if !slices.ContainsFunc(tried, func(t Tried) bool { return t.Destination.Unmap() == to.Addr() && t.Port == to.Port() }) {
			continue
		}
		one := model.Refusal{Protocol: a.Protocol.String(), Type: a.Type, Code: a.Code, By: a.Sights[0].From.Unmap(), To: to}
		if !a.Host {
			one.In = a.Sights[0].Interface
		}
		i := slices.IndexFunc(all, func(r model.Refusal) bool { r.Packets = 0; return r == one })
		switch {
		case i >= 0:
		case len(all) == maxSightings:
			continue
		default:
			i, all = len(all), append(all, one)
		}
		all[i].Packets += a.Packets
	}
	return all
}
