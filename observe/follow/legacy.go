package follow

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/observe/legacy"
)

// byLegacy names the rules of iptables-legacy that took packets which the kernel tells as
// dropped by netfilter: those that counted some meanwhile, and that nothing which is known of
// the packets speaks against. What is left is of something else.
func byLegacy(kernel []model.Sighting, rose []legacy.Rule, own func(netip.Addr) bool) []model.Sighting {
	var out []model.Sighting
	for _, s := range kernel {
		if s.Kernel.Reason != byRule && (s.Kernel.Reason != "" || !strings.HasPrefix(s.Kernel.Function, "nf_")) {
			out = append(out, s)
			continue
		}
		var c collector
		var left []model.PacketFlow
		for _, flow := range s.Flows {
			r, hook, ok := taker(flow, s, rose, own)
			if !ok {
				left = append(left, flow)
				continue
			}
			k := killer{reply: s.Reply, handle: uint64(r.Number), drop: *s.Kernel}
			k.chain.Table, k.chain.Chain = r.Family+r.Table+hook, r.Chain
			c.add(k, legacySighting(s, r, hook), 0, flow)
		}
		for i := range c.all {
			c.all[i].Packets = min(s.Packets, c.all[i].Packets)
		}
		out = append(out, c.all...)
		if len(left) > 0 {
			s.Flows, s.Packets = left, max(1, s.Packets-min(s.Packets-1, total(c.all)))
			out = append(out, s)
		}
	}
	return out
}

func total(all []model.Sighting) (n uint64) {
	for _, s := range all {
		n += s.Packets
	}
	return n
}

// order is that in which a packet meets the tables of a hook.
var order = []string{"raw", "mangle", "nat", "filter", "security"}

// taker is the first rule that may have taken a packet, and on which hook.
func taker(flow model.PacketFlow, s model.Sighting, rose []legacy.Rule, own func(netip.Addr) bool) (legacy.Rule, string, bool) {
	p := legacy.Packet{Protocol: flow.Protocol, Source: flow.Source, Destination: flow.To(), Interface: s.Kernel.Interface}
	to := flow.To().Addr()
	last := "forward"
	if own(to) || to.IsMulticast() || to == netip.AddrFrom4([4]byte{255, 255, 255, 255}) {
		last = "input"
	}
	hooks := []string{"prerouting", last, "postrouting"}
	if own(flow.Source.Addr()) {
		hooks = []string{"output", "postrouting"}
	}
	for _, hook := range hooks {
		for _, table := range order {
			i := slices.IndexFunc(rose, func(r legacy.Rule) bool {
				// The policy of the forward chain is told of by its own counter, with its remedy.
				policy := r.Number == 0 && hook == "forward" && table == "filter"
				return r.Table == table && !policy && r.Takes(hook, p)
			})
			if i >= 0 {
				return rose[i], hook, true
			}
		}
	}
	return legacy.Rule{}, "", false
}

// legacySighting is a sighting of what a rule took.
func legacySighting(s model.Sighting, r legacy.Rule, hook string) model.Sighting {
	s.Flows, s.Packets, s.Fate = nil, r.Packets, model.Dropped
	if r.Rejects {
		s.Fate = model.Rejected
	}
	if s.In = s.Kernel.Interface; hook == "output" || hook == "postrouting" {
		s.In, s.Out = "", s.In
	}
	s.Rule = &model.FirewallRule{
		Family: r.Family, Table: r.Table, Chain: r.Chain, Hook: hook, Handle: uint64(r.Number), Index: max(0, r.Number-1), Text: r.Text,
		Ports: strings.Contains(r.Text, "--dport"), Shared: len(r.Hooks) > 1, XTables: true, Legacy: true, Owner: legacyOwner(r),
	}
	s.Kernel = nil
	return s
}

// legacyOwner names whose a rule is by its chain and its comment.
func legacyOwner(r legacy.Rule) string {
	for _, o := range owners {
		if o.chains != "" && strings.HasPrefix(r.Chain, o.chains) || o.comment != "" && strings.Contains(r.Text, o.comment) {
			return o.owner
		}
	}
	return ""
}
