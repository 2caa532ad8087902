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
		return "taken out of connection tracking, and so left without NAT,"
	case model.Exempted:
		return "let out of the NAT chain before what translates, and so left with a private source,"
	case model.Zoned:
		return "put into a zone of connection tracking that answers are not looked for in"
	case model.Queued:
		if d.Reader != 0 {
			return fmt.Sprintf("handed to queue %d (NFQUEUE), whose reader (process %d) did not give them back,", d.Queue, d.Reader)
		}
		return fmt.Sprintf("handed to queue %d (NFQUEUE), which no process reads, and so dropped", d.Queue)
	case model.Expired:
		return "left with too small a TTL to get any further"
	}
	return "sent to " + d.Redirect
}

// behind is what packets met there: the queueing discipline, the policy of IPsec, or who
// listens where they were redirected to.
func (v *view) behind(k killer, w *model.Watch) []string {
	var says []string
	switch k.cause {
	case CauseRedirected:
		says = v.redirectedTo(k, w.Sightings)
	case CauseTrafficControl:
		for _, q := range w.Sightings.Queues {
			if q.Interface == k.Kernel.Interface || k.Kernel.Interface == "" {
				says = append(says, queueText(q))
			}
		}
		for _, f := range w.Sightings.Filters {
			if f.Interface == k.Kernel.Interface {
				says = append(says, filterText(f))
			}
		}
	case CauseOtherMAC:
		if i, ok := v.interfaceOf(k.Kernel.Interface); ok {
			says = append(says, fmt.Sprintf("that of %s is %s, which who sends them forgot or never learnt (there: `ip neigh`; here: `arping -U -I %s %s` tells it)", i.Name, i.MAC, i.Name, v.addressOf(i.Name)))
		}
	case CauseIPsecPolicy:
		for _, p := range w.Sightings.IPsec {
			if slices.ContainsFunc(k.Flows, func(f model.PacketFlow) bool { return blocks(p, f) }) {
				says = append(says, ipsecText(p))
			}
		}
	}
	return says
}

// redirectedTo says who listens on the runner where packets were sent instead, if it is
// the runner that they were sent to.
func (v *view) redirectedTo(k killer, s *model.Sightings) []string {
	runner := v.facts(v.runner())
	own := runner != nil && slices.ContainsFunc(networks(runner), func(n netip.Prefix) bool { return n.Addr() == k.Redirect.Addr() })
	if !own || !s.ListenersRead || len(k.Flows) == 0 {
		return nil
	}
	protocol := k.Flows[0].Protocol
	for _, l := range s.Listeners {
		if l.Protocol == protocol && l.Address.Port() == k.Redirect.Port() && (l.Address.Addr().IsUnspecified() || l.Address.Addr().Unmap() == k.Redirect.Addr()) {
			who := "a process"
			if l.Process != "" {
				who = fmt.Sprintf("%s (process %d)", l.Process, l.PID)
			}
			return []string{fmt.Sprintf("%s of the runner listens there, on %s port %d", who, protocol, k.Redirect.Port())}
		}
	}
	return []string{fmt.Sprintf("no process of the runner listens there, on %s port %d", protocol, k.Redirect.Port())}
}

func ipsecText(p model.IPsecPolicy) string {
	if p.Tunnel.IsValid() {
		return fmt.Sprintf("the IPsec policy src %s dst %s dir %s wants them encrypted to %s, and there is no state to do it by (`ip xfrm policy`, `ip xfrm state`)", p.Source, p.Destination, p.Direction, p.Tunnel)
	}
	return fmt.Sprintf("the IPsec policy src %s dst %s dir %s blocks them (`ip xfrm policy`)", p.Source, p.Destination, p.Direction)
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
