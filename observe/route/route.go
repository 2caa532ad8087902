// Package route asks the kernel how it routes a packet of a flow: the route, the
// table, the policy rule that led there, and where there is none, why. It reads
// what else decides: forwarding and reverse path filtering of each interface,
// addresses, MTU, and the state of neighbours. All functions look into the network
// namespace that they are called in, and change nothing.
package route

import (
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/nestlab/nestlab/observe"
)

// Source names these sightings where they are unavailable.
const Source = "routing decision"

// Kind is what the kernel does with a packet.
type Kind string

// The kinds of decisions.
const (
	Unicast     Kind = "unicast"     // sent on
	Local       Kind = "local"       // for this host
	Broadcast   Kind = "broadcast"   // for this host and others
	Multicast   Kind = "multicast"   //
	Unreachable Kind = "unreachable" // an unreachable route or rule: ICMP host unreachable
	Blackhole   Kind = "blackhole"   // a blackhole route or rule: dropped silently
	Prohibit    Kind = "prohibit"    // a prohibit route or rule: ICMP administratively prohibited
	NoRoute     Kind = "no route"    // nothing matches: ICMP network unreachable
	// NotForwarding is IPv4 whose input interface does not forward. The IPv6
	// decision does not tell: see Settings.Forwarding6.
	NotForwarding Kind = "not forwarding"
	// ReversePath is a source that is not expected on the input interface (rp_filter).
	ReversePath Kind = "reverse path"
	// Martian is a source or destination that the kernel takes for impossible
	// there, such as one of its own addresses.
	Martian Kind = "martian"
)

// Delivered reports whether the packet goes anywhere.
func (k Kind) Delivered() bool {
	return k == Unicast || k == Local || k == Broadcast || k == Multicast
}

// Packet is what is asked about. Source and Input are those of a packet from
// elsewhere; without Input it is one of this host's own.
type Packet struct {
	Tuple observe.Tuple `json:"tuple"`
	Input string        `json:"input,omitempty"`
	Mark  uint32        `json:"mark,omitempty"`
	UID   *uint32       `json:"uid,omitempty"` // of the sender; own packets only
}

// Reply returns the packet that comes back by an interface.
func (p Packet) Reply(input string) Packet {
	return Packet{Tuple: p.Tuple.Reverse(), Input: input, Mark: p.Mark}
}

// Decision is what the kernel would do with a packet.
type Decision struct {
	Packet Packet `json:"packet"`
	Kind   Kind   `json:"kind"`
	// Table is the routing table that decided; 0 where the kernel does not say.
	Table int `json:"table,omitempty"`
	// Interface is the output, and Gateway the next hop, if not the destination itself.
	Interface string     `json:"interface,omitempty"`
	Index     int        `json:"index,omitempty"`
	Gateway   netip.Addr `json:"gateway,omitzero"`
	Source    netip.Addr `json:"source,omitzero"` // that the kernel would choose
	MTU       int        `json:"mtu,omitempty"`   // of the route, if it has one
	// Rule is the policy rule that selected the table or refused; nil where none did.
	Rule *Rule `json:"rule,omitempty"`
}

// NextHop returns the neighbour that the packet is handed to.
func (d Decision) NextHop() netip.Addr {
	if d.Gateway.IsValid() {
		return d.Gateway
	}
	return d.Packet.Tuple.Destination.Addr()
}

// Both decides on a packet and on the reply to it, which comes in by the interface
// that the packet leaves by, or is this host's own to a packet that came in for it. There
// is no reply to a packet that goes nowhere.
func Both(p Packet) (there Decision, back *Decision, err error) {
	there, err = Decide(p)
	from := there.Interface
	if there.Kind == Local {
		from = ""
	}
	if err != nil || there.Kind != Unicast && (there.Kind != Local || p.Input == "") {
		return there, nil, err
	}
	reply, err := Decide(p.Reply(from))
	return there, &reply, err
}

// Decide asks the kernel about a packet.
func Decide(p Packet) (Decision, error) {
	d := Decision{Packet: p}
	source, destination := p.Tuple.Source.Addr(), p.Tuple.Destination.Addr()
	if !destination.IsValid() || source.IsValid() && source.Is4() != destination.Is4() {
		return d, fmt.Errorf("ask how %v to %v is routed: name a destination, and a source of its family", source, destination)
	}
	if p.Input != "" && !source.IsValid() {
		return d, fmt.Errorf("ask how a packet to %v is routed: one that comes in by %s needs a source", destination, p.Input)
	}
	rules, err := Rules(destination.Is4())
	if err != nil {
		return d, err
	}
	err = ask(&d)
	var refusal unix.Errno
	switch {
	case err == nil:
		d.Rule, err = selected(rules, p, d.Table)
	case errors.As(err, &refusal):
		err = d.explain(refusal, rules)
	}
	if err != nil {
		return d, fmt.Errorf("ask how %v to %v is routed: %w", source, destination, err)
	}
	return d, nil
}

// explain finds out why the kernel gives no route, from the error that it gives instead.
func (d *Decision) explain(refusal unix.Errno, rules []Rule) error {
	var kinds []Kind
	switch refusal {
	case unix.ENETUNREACH:
		kinds = []Kind{Unreachable, NoRoute} // an unreachable rule says so too
	case unix.EHOSTUNREACH:
		kinds = []Kind{Unreachable, NotForwarding, NoRoute}
	case unix.EACCES:
		kinds = []Kind{Prohibit}
	case unix.EINVAL:
		kinds = []Kind{Blackhole, ReversePath, Martian}
	case unix.EXDEV:
		kinds = []Kind{ReversePath}
	default:
		return refusal
	}
	for _, kind := range kinds {
		ok, err := d.is(kind, rules)
		if err != nil {
			return err
		}
		if ok {
			d.Kind = kind
			return nil
		}
	}
	d.Kind = kinds[len(kinds)-1]
	return nil
}

// is looks whether a kind of refusal applies.
func (d *Decision) is(kind Kind, rules []Rule) (bool, error) {
	switch kind {
	case Unreachable, Blackhole, Prohibit:
		refused, err := refusing(rules, d.Packet)
		if err != nil || refused == nil || refused.kind != kind {
			return false, err
		}
		d.Rule, d.Table = refused.rule, refused.rule.Table
		return true, nil
	case NotForwarding:
		if d.Packet.Input == "" {
			return false, nil
		}
		n, err := readInt("net/ipv4/conf", d.Packet.Input, "forwarding")
		return n == 0, err
	case ReversePath:
		return d.Packet.unexpected()
	}
	return false, nil
}

// unexpected reports whether reverse path filtering refuses the packet.
func (p Packet) unexpected() (bool, error) {
	if p.Input == "" || p.Tuple.Source.Addr().Is6() {
		return false, nil
	}
	mode, err := reversePath(p.Input)
	if err != nil || mode == 0 {
		return false, err
	}
	back, err := Decide(Packet{Tuple: observe.Tuple{Destination: p.Tuple.Source}})
	if err != nil {
		return false, err
	}
	strict := mode == 1
	return back.Kind != Unicast || strict && back.Interface != p.Input, nil
}
