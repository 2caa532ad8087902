package diagnose

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/nestlab/nestlab/model"
)

// alteredText says what a rule made of packets that it did not end.
func alteredText(d model.Drop) string {
	switch d.Alters {
	case model.Translated:
		source, _, _ := strings.Cut(d.Redirect, ":")
		if a, err := netip.ParseAddrPort(d.Redirect); err == nil {
			source = a.Addr().String()
		}
		return fmt.Sprintf("translated to the source %s, which the runner does not have,", source)
	case model.Untracked:
		return "taken out of connection tracking, and so left untranslated,"
	case model.Expired:
		return "left with too small a TTL to get any further"
	}
	return "sent to " + d.Redirect
}

// behind is what the kernel's own drop hangs on: the queueing discipline, or the policy of IPsec.
func behind(k killer, w *model.Watch) []model.Evidence {
	if k.Kernel == nil || w.Sightings == nil {
		return nil
	}
	var says []string
	switch k.cause {
	case CauseTrafficControl:
		for _, q := range w.Sightings.Queues {
			if q.Interface == k.Kernel.Interface || k.Kernel.Interface == "" {
				says = append(says, queueText(q))
			}
		}
	case CauseIPsecPolicy:
		for _, p := range w.Sightings.IPsec {
			if slices.ContainsFunc(k.Flows, func(f model.PacketFlow) bool { return blocks(p, f) }) {
				says = append(says, fmt.Sprintf("the IPsec policy src %s dst %s dir %s blocks them (`ip xfrm policy`)", p.Source, p.Destination, p.Direction))
			}
		}
	}
	var all []model.Evidence
	for _, text := range says {
		all = append(all, model.Evidence{Refs: []string{w.Ref()}, Text: text})
	}
	return all
}

func blocks(p model.IPsecPolicy, f model.PacketFlow) bool {
	holds := func(n netip.Prefix, a netip.Addr) bool { return !n.IsValid() || n.Contains(a) }
	return holds(p.Source, f.Source.Addr()) && holds(p.Destination, f.Destination.Addr())
}

func queueText(q model.Queue) string {
	says := fmt.Sprintf("the queueing discipline %s of %s dropped %s", q.Kind, q.Interface, count(int(q.Dropped), "packet"))
	if q.Burst > 0 && q.Burst < uint64(q.MTU) {
		says += fmt.Sprintf(": its burst is %d bytes, less than a packet (the MTU is %d), so that no large one ever passes", q.Burst, q.MTU)
	}
	return says + fmt.Sprintf(" (`tc -s qdisc show dev %s`)", q.Interface)
}

func filterText(f model.TrafficFilter) string {
	where, what := "ingress", "dropped"
	if f.Egress {
		where = "egress"
	}
	if f.To != "" {
		what = "handed to " + f.To
	}
	return fmt.Sprintf("%s %s at the %s of %s by a filter of traffic control (%s, priority %d; `tc -s filter show dev %s %s`)",
		plural(int(f.Packets), "packet was", "packets were"), what, where, f.Interface, f.Kind, f.Priority, f.Interface, where)
}
