package follow

import (
	"net/netip"
	"slices"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/observe/ruleset"
	"github.com/nestlab/nestlab/observe/trace"
)

// tooFew is a TTL that leads nowhere beyond the next routers.
const tooFew = 5

// alter adds a packet that a rule changed in a way that keeps answers from it: it leaves
// untracked or exempted and so untranslated, in a zone that answers are not in, with a source
// that nobody here has, or with a TTL that is used up at once. Answered tells whether an answer
// to it came back.
func (c *collector) alter(p *trace.Path, view *ruleset.View, own func(netip.Addr) bool, answered func(*trace.Path) bool) {
	first, last := p.First().Packet, p.Last().Packet
	if first.ARP {
		return
	}
	from, to := first.Tuple.Source.Addr(), last.Tuple.Source
	if by := alteredBy(p, view, ruleset.Untracks); by != nil && p.Outcome == trace.Left && from == to.Addr() && !own(from) {
		c.altered(p, model.Sighting{Fate: model.Untracked, Rule: ruleOf(by, view)}, by)
	}
	if by := alteredBy(p, view, ruleset.SetsTTL); by != nil && last.TTL < tooFew && first.TTL > last.TTL+1 {
		c.altered(p, model.Sighting{Fate: model.Expired, Rule: ruleOf(by, view)}, by)
	}
	if by := exemptedBy(p, view); by != nil && from == to.Addr() && !own(from) && from.IsPrivate() && public(last.Tuple.Destination.Addr()) {
		c.altered(p, model.Sighting{Fate: model.Exempted, Rule: ruleOf(by, view)}, by)
	}
	if by := alteredBy(p, view, ruleset.SetsZone); by != nil && (p.Outcome == trace.Left || p.Outcome == trace.Delivered) && !answered(p) {
		c.altered(p, model.Sighting{Fate: model.Zoned, Rule: ruleOf(by, view)}, by)
	}
	if p.Outcome == trace.Left && from != to.Addr() && to.IsValid() && !own(to.Addr()) {
		if by := translatedBy(p, view, ruleset.Postrouting, ruleset.Input); by != nil {
			c.altered(p, model.Sighting{Fate: model.Translated, Rule: ruleOf(by, view), Redirect: to}, by)
		}
	}
}

// maxUntranslated bounds the flows that are told of.
const maxUntranslated = 16

// untranslatedSix are the forwarded packets of IPv6 to the internet that left with the private
// address that they came with.
func untranslatedSix(r *trace.Result) []model.UntranslatedFlow {
	var all []model.UntranslatedFlow
	for i := range r.Paths {
		p := &r.Paths[i]
		first, last := p.First(), p.Last()
		from, to := first.Packet.Tuple.Source.Addr(), last.Packet.Tuple.Destination
		if p.Reply || p.Outcome != trace.Left || first.In == nil || last.Out == nil || !from.Is6() || !from.IsPrivate() || from != last.Packet.Tuple.Source.Addr() || !public(to.Addr()) {
			continue
		}
		flow := model.UntranslatedFlow{Interface: last.Out.Name, Source: from, Destination: to}
		at := slices.IndexFunc(all, func(x model.UntranslatedFlow) bool {
			return x.Interface == flow.Interface && x.Source == flow.Source && x.Destination == flow.Destination
		})
		if at < 0 && len(all) < maxUntranslated {
			at, all = len(all), append(all, flow)
		}
		if at >= 0 {
			all[at].Packets++
		}
	}
	return all
}

// alterAnswer adds an answer that a rule took out of connection tracking, so that it was not
// translated back to the guest that it is for.
func (c *collector) alterAnswer(p *trace.Path, view *ruleset.View) {
	by := alteredBy(p, view, ruleset.Untracks)
	if by == nil {
		return
	}
	last := p.Last()
	flow := flowOf(last.Packet.Tuple, true)
	flow.Stage = stageOf(last.Packet)
	s := model.Sighting{Reply: true, Fate: model.Untracked, Rule: ruleOf(by, view), In: nameOf(last.In)}
	c.add(killer{reply: true, chain: by.ChainID, handle: by.Handle, in: s.In, alters: s.Fate}, s, 1, flow)
}

// altered adds a packet by the rule that changed it, as it was before.
func (c *collector) altered(p *trace.Path, s model.Sighting, by *trace.Step) {
	first := p.First().Packet
	flow := flowOf(first.Tuple, false)
	flow.Stage = stageOf(first)
	s.In = nameOf(p.Last().In)
	if s.Fate == model.Translated { // its port is another one each time
		s.Redirect = netip.AddrPortFrom(s.Redirect.Addr(), 0)
	}
	c.add(killer{chain: by.ChainID, handle: by.Handle, in: s.In, alters: s.Fate}, s, 1, flow)
}

// translatedBy is the last rule of a chain of the type nat on one of these hooks that
// the packet was accepted by; nil for none.
func translatedBy(p *trace.Path, view *ruleset.View, hooks ...ruleset.Hook) *trace.Step {
	var by *trace.Step
	for i := range p.Steps {
		s := &p.Steps[i]
		if s.Handle != 0 && s.Verdict.Kind == ruleset.Accept && slices.Contains(hooks, s.Hook) && translates(view, s) {
			by = s
		}
	}
	return by
}

// alteredBy is the last rule that the packet met which changes this of packets; nil for none.
func alteredBy(p *trace.Path, view *ruleset.View, what ruleset.Alteration) *trace.Step {
	for i := len(p.Steps) - 1; i >= 0; i-- {
		s := &p.Steps[i]
		if at, ok := view.Locate(s.Family, s.Table, s.Chain, s.Handle); ok && at.Rule != nil && slices.Contains(at.Rule.Alters, what) {
			return s
		}
	}
	return nil
}

// public reports whether an address is one of the internet, where nobody answers to a
// private one.
func public(a netip.Addr) bool {
	return a.IsValid() && a.IsGlobalUnicast() && !a.IsPrivate()
}

// exemptedBy is the rule that let a packet out of a chain of the type nat before what
// translates; nil for none.
func exemptedBy(p *trace.Path, view *ruleset.View) *trace.Step {
	if p.Outcome != trace.Left {
		return nil
	}
	return translatedBy(p, view, ruleset.Postrouting)
}

// answersIn tells whether an answer got back to who sends such a packet: on to where it came
// from, or to this host itself.
func answersIn(paths []trace.Path) func(*trace.Path) bool {
	type end struct {
		from    netip.AddrPort
		outcome trace.Outcome
	}
	got := map[end]bool{}
	for i := range paths {
		if p := &paths[i]; p.Reply {
			got[end{p.Last().Packet.Tuple.Source, p.Outcome}] = true
		}
	}
	return func(p *trace.Path) bool {
		back := trace.Left
		if p.First().In == nil {
			back = trace.Delivered
		}
		return got[end{p.Last().Packet.Tuple.Destination, back}]
	}
}

// marked is a mark that packets had when they were routed, and the rule that set it.
type marked struct {
	mark uint32
	by   *model.FirewallRule
}

// marksOf are the marks of packets by where they were to, of those that have one.
func marksOf(r *trace.Result) map[netip.AddrPort]marked {
	all := map[netip.AddrPort]marked{}
	for i := range r.Paths {
		p := &r.Paths[i]
		if p.Reply {
			continue
		}
		for _, at := range p.Passes {
			if by := alteredBy(p, r.View, ruleset.SetsMark); at.Mark != 0 && by != nil {
				all[p.First().Packet.Tuple.Destination] = marked{at.Mark, ruleOf(by, r.View)}
			}
		}
	}
	return all
}
