package follow

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/observe"
	"github.com/nestlab/nestlab/observe/drops"
	"github.com/nestlab/nestlab/observe/ruleset"
	"github.com/nestlab/nestlab/observe/trace"
)

// maxFlows bounds the flows that are told of one killer.
const maxFlows = 64

// killer is what the packets of one sighting have in common.
type killer struct {
	reply   bool
	chain   ruleset.ChainID
	handle  uint64
	drop    model.KernelDrop
	in, out string
	// alters tells a rule that changes packets from one that drops them.
	alters model.Fate
}

// collector gathers packets by their killer, in the order of the first.
type collector struct {
	all    []model.Sighting
	places map[killer]int
}

func (c *collector) add(k killer, s model.Sighting, packets uint64, flow model.PacketFlow) {
	if c.places == nil {
		c.places = map[killer]int{}
	}
	at, known := c.places[k]
	if !known {
		at = len(c.all)
		c.places[k], c.all = at, append(c.all, s)
	}
	one := &c.all[at]
	one.Packets += packets
	if len(one.Flows) < maxFlows && !slices.Contains(one.Flows, flow) {
		one.Flows = append(one.Flows, flow)
	}
}

// fates are those of packets that a rule ended.
var fates = map[trace.Outcome]model.Fate{trace.Dropped: model.Dropped, trace.Rejected: model.Rejected, trace.Queued: model.Queued}

// ruleDrops are the packets that ended by a rule or a policy, or that a rule changed. Own
// tells this host's addresses, and readers who reads which queue (NFQUEUE).
func ruleDrops(r *trace.Result, own func(netip.Addr) bool, readers map[uint16]uint32) []model.Sighting {
	var c collector
	answered := answersIn(r.Paths)
	for i := range r.Paths {
		p := &r.Paths[i]
		by, last := p.By(), p.Last()
		if by == nil && !p.Reply {
			c.redirect(p, r.View)
			c.alter(p, r.View, own, answered)
		}
		if p.Untranslated {
			c.alterAnswer(p, r.View)
			continue // whoever ended it then did so to what nobody here had asked for
		}
		if by == nil || p.Outcome == trace.Stolen {
			continue
		}
		// After a connection's first packet there may be no chain that shows what a queue gave back.
		if stage := stageOf(last.Packet); p.Outcome == trace.Queued && (stage == model.Data || stage == model.Closing) {
			continue
		}
		s := model.Sighting{Reply: p.Reply, Fate: fates[p.Outcome], Rule: ruleOf(by, r.View), In: nameOf(last.In), Out: nameOf(last.Out), Queue: by.Verdict.Queue}
		if s.Fate == model.Queued {
			s.Reader = readers[s.Queue]
		}
		k := killer{reply: p.Reply, chain: by.ChainID, handle: by.Handle, in: s.In, out: s.Out}
		flow := flowOf(last.Packet.Tuple, p.Reply)
		flow.Stage = stageOf(last.Packet)
		if found := discovery(last.Packet); found != "" {
			flow.Protocol = found
		} else if first := p.First().Packet.Tuple; !p.Reply && first.Destination.IsValid() {
			// Whoever sent it knows nothing of NAT.
			flow.Source = netip.AddrPortFrom(first.Source.Addr(), 0)
			if first.Destination != flow.Destination {
				flow.Destination, flow.Translated = first.Destination, flow.Destination
			}
		}
		c.add(k, s, 1, flow)
	}
	return c.all
}

// redirect adds a packet whose destination a rule changed, by the rule.
func (c *collector) redirect(p *trace.Path, view *ruleset.View) {
	first, last := p.First().Packet, p.Last().Packet
	if first.Tuple.Destination == last.Tuple.Destination || !last.Tuple.Destination.IsValid() || first.ARP {
		return
	}
	by := translatedBy(p, view, ruleset.Prerouting, ruleset.Output)
	if by == nil || strings.HasPrefix(by.Table, ownTables) { // a remedy that does what it is for
		return
	}
	c.altered(p, model.Sighting{Fate: model.Redirected, Rule: ruleOf(by, view), Redirect: last.Tuple.Destination}, by)
}

// ownTables begins the names of the tables that remedies make.
const ownTables = "nestlab-"

// translates reports whether a step is in a chain of the type nat.
func translates(view *ruleset.View, s *trace.Step) bool {
	at, ok := view.Locate(s.Family, s.Table, s.Chain, s.Handle)
	return ok && slices.ContainsFunc(at.Bases, func(c *ruleset.Chain) bool { return c.Base.Type == "nat" && c.Base.Hook == s.Hook })
}

func nameOf(i *trace.Interface) string {
	if i == nil {
		return ""
	}
	return i.Name
}

// ruleOf is the rule or policy of a step in its place.
func ruleOf(by *trace.Step, view *ruleset.View) *model.FirewallRule {
	rule := &model.FirewallRule{
		Family: string(by.Family), Table: by.Table, Chain: by.Chain, Hook: string(by.Hook), Handle: by.Handle, Text: by.RuleText,
	}
	at, ok := view.Locate(by.Family, by.Table, by.Chain, by.Handle)
	if !ok {
		return rule // gone meanwhile
	}
	rule.XTables = at.Table != nil && at.Table.XTables
	for _, base := range at.Bases {
		if base.Base.Hook == by.Hook {
			rule.Priority = base.Base.Priority
		}
		rule.Shared = rule.Shared || base.Base.Hook != by.Hook
	}
	if at.Rule != nil {
		rule.Index, rule.Ports = at.Rule.Index, at.Rule.Ports
	}
	rule.Owner = ownerOf(at)
	return rule
}

// flowOf leaves out the port of who began: every attempt has another one.
func flowOf(t observe.Tuple, reply bool) model.PacketFlow {
	f := model.PacketFlow{Protocol: t.Protocol.String(), Source: t.Source, Destination: t.Destination}
	if reply {
		f.Destination = netip.AddrPortFrom(t.Destination.Addr(), 0)
	} else {
		f.Source = netip.AddrPortFrom(t.Source.Addr(), 0)
	}
	return f
}

// discovery is the protocol of packets that neighbours find each other by; empty for others.
func discovery(p trace.Packet) string {
	const routerSolicitation, redirect = 133, 137
	switch {
	case p.ARP:
		return model.ProtocolARP
	case p.Tuple.Protocol == observe.ICMPv6 && p.Type >= routerSolicitation && p.Type <= redirect:
		return model.ProtocolNDP
	}
	return ""
}

// stageOf tells by the flags of TCP.
func stageOf(p trace.Packet) model.Stage {
	const fin, syn, rst = 1, 2, 4
	switch {
	case p.Tuple.Protocol != observe.TCP || p.Flags == 0:
		return ""
	case p.Flags&syn != 0:
		return model.Opening
	case p.Flags&(fin|rst) != 0:
		return model.Closing
	}
	return model.Data
}

// silent are reasons that are no loss: the packet was taken, was a copy, or lay in the
// queue of a socket that was closed.
var silent = []string{"CONSUMED", "NOT_DROPPED_YET", "SOCKET_RCVBUFF", "TCP_OLD_DATA", "TCP_OLD_SEQUENCE", "TCP_OLD_ACK", "TCP_CLOSE", "TCP_RESET", "QUEUE_PURGE"}

// byRule is the kernel's reason where nf_tables or another netfilter hook dropped, such as
// iptables-legacy's or connection tracking.
const byRule = "NETFILTER_DROP"

// kernelDrops are those of the kernel beside the rules, which the trace tells better.
func (f *Follower) kernelDrops(r drops.Report) []model.Sighting {
	var c collector
	for _, d := range r.Drops {
		if slices.Contains(silent, d.Reason) || d.Reason == byRule && f.tracer != nil && strings.HasPrefix(d.Function, "nft_") {
			continue
		}
		reply := d.Reply || f.answer(d.Tuple)
		kernel := model.KernelDrop{Reason: d.Reason, Function: d.Function, Interface: d.Interface}
		c.add(killer{reply: reply, drop: kernel}, model.Sighting{Reply: reply, Fate: model.Dropped, Kernel: &kernel}, d.Packets, flowOf(d.Tuple, reply))
	}
	return c.all
}

// answer reports whether a packet comes from one of the destinations.
func (f *Follower) answer(t observe.Tuple) bool {
	return slices.Contains(f.subject.Destinations, t.Source.Addr()) && !slices.Contains(f.subject.Destinations, t.Destination.Addr())
}

// unruled leaves out what a rule is known to have dropped: before Linux 6.7 the kernel
// tells of all of netfilter in one function.
func unruled(kernel, rules []model.Sighting) []model.Sighting {
	var out []model.Sighting
	for _, s := range kernel {
		if s.Kernel.Reason == byRule || s.Kernel.Reason == "" {
			s.Flows = slices.DeleteFunc(s.Flows, func(f model.PacketFlow) bool {
				return slices.ContainsFunc(rules, func(r model.Sighting) bool {
					return slices.ContainsFunc(r.Flows, func(x model.PacketFlow) bool {
						return x.Protocol == f.Protocol && x.Source == f.Source && x.Destination == f.Destination
					})
				})
			})
		}
		if len(s.Flows) > 0 {
			out = append(out, s)
		}
	}
	return out
}
