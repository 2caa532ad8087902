package route

import (
	"fmt"
	"net/netip"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/nestlab/nestlab/observe"
)

// Range is an inclusive one of ports or users.
type Range struct {
	From uint32 `json:"from"`
	To   uint32 `json:"to"`
}

func (r *Range) has(n uint32) bool { return r == nil || r.From <= n && n <= r.To }

// Rule is a policy rule, as ip-rule(8) lists it. A zero selector selects all.
type Rule struct {
	Priority int `json:"priority"`
	// Kind is Unicast for a rule that leads to a table, or how it refuses; empty
	// for goto and nop.
	Kind            Kind             `json:"kind,omitempty"`
	Table           int              `json:"table,omitempty"`
	Goto            int              `json:"goto,omitempty"`
	Invert          bool             `json:"invert,omitempty"`
	Source          netip.Prefix     `json:"source,omitzero"`
	Destination     netip.Prefix     `json:"destination,omitzero"`
	Input           string           `json:"input,omitempty"`
	Output          string           `json:"output,omitempty"`
	Mark            uint32           `json:"mark,omitempty"`
	Mask            uint32           `json:"mask,omitempty"` // 0: no mark is looked at
	Protocol        observe.Protocol `json:"protocol,omitempty"`
	SourcePort      *Range           `json:"source_port,omitempty"`
	DestinationPort *Range           `json:"destination_port,omitempty"`
	UID             *Range           `json:"uid,omitempty"`
	// VRF rules lead to the table of the VRF that the interface is in.
	VRF bool `json:"vrf,omitempty"`
	// SuppressPrefix makes a route of at most that length not count; -1 for none.
	SuppressPrefix int `json:"suppress_prefix"`
}

// Matches reports whether the rule's selectors fit a packet. The output interface
// is that of a socket bound to a device, which a Packet does not have.
func (r Rule) Matches(p Packet) bool {
	source, destination := p.Tuple.Source, p.Tuple.Destination
	in := func(n netip.Prefix, a netip.Addr) bool { return !n.IsValid() || n.Contains(a) }
	fits := in(r.Source, source.Addr()) && in(r.Destination, destination.Addr()) &&
		r.fitsInput(p.Input) && r.Output == "" && p.Mark&r.Mask == r.Mark &&
		(r.Protocol == 0 || r.Protocol == p.Tuple.Protocol) &&
		r.SourcePort.has(uint32(source.Port())) && r.DestinationPort.has(uint32(destination.Port())) &&
		(r.UID == nil || p.UID != nil && r.UID.has(*p.UID))
	return fits != r.Invert
}

// fitsInput takes own packets for packets of the loopback, as the kernel does.
func (r Rule) fitsInput(input string) bool {
	return r.Input == "" || r.Input == input || r.Input == "lo" && input == ""
}

// String returns the rule as ip-rule(8) prints it.
func (r Rule) String() string {
	all := func(n netip.Prefix) string {
		if !n.IsValid() {
			return "all"
		}
		return n.String()
	}
	words := []string{fmt.Sprintf("%d:", r.Priority)}
	add := func(format string, args ...any) { words = append(words, fmt.Sprintf(format, args...)) }
	if r.Invert {
		add("not")
	}
	add("from %s", all(r.Source))
	if r.Destination.IsValid() {
		add("to %v", r.Destination)
	}
	switch r.Mask {
	case 0:
	case ^uint32(0):
		add("fwmark %#x", r.Mark)
	default:
		add("fwmark %#x/%#x", r.Mark, r.Mask)
	}
	if r.Input != "" {
		add("iif %s", r.Input)
	}
	if r.Output != "" {
		add("oif %s", r.Output)
	}
	for _, e := range []struct {
		name string
		r    *Range
	}{{"uidrange", r.UID}, {"sport", r.SourcePort}, {"dport", r.DestinationPort}} {
		switch {
		case e.r == nil:
		case e.r.From == e.r.To && e.name != "uidrange":
			add("%s %d", e.name, e.r.From)
		default:
			add("%s %d-%d", e.name, e.r.From, e.r.To)
		}
	}
	if r.Protocol != 0 {
		add("ipproto %v", r.Protocol)
	}
	return strings.Join(append(words, r.action()), " ")
}

func (r Rule) action() string {
	switch {
	case r.Goto != 0:
		return fmt.Sprintf("goto %d", r.Goto)
	case r.Kind == "":
		return "nop"
	case r.Kind != Unicast:
		return string(r.Kind)
	case r.VRF:
		return "lookup [l3mdev-table]"
	}
	table := fmt.Sprint(r.Table)
	switch r.Table {
	case unix.RT_TABLE_LOCAL:
		table = "local"
	case unix.RT_TABLE_MAIN:
		table = "main"
	case unix.RT_TABLE_DEFAULT:
		table = "default"
	}
	if r.SuppressPrefix >= 0 {
		return fmt.Sprintf("lookup %s suppress_prefixlength %d", table, r.SuppressPrefix)
	}
	return "lookup " + table
}
