// Package observe holds what the sources of sightings have in common: the flow
// that is followed, the five-tuple of a packet, and why a source is missing.
// Each source is a package below it.
package observe

import (
	"fmt"
	"net/netip"
)

// Protocol is a transport protocol by its IANA number; zero means any.
type Protocol uint8

// The protocols of probes.
const (
	ICMP   Protocol = 1
	TCP    Protocol = 6
	UDP    Protocol = 17
	ICMPv6 Protocol = 58
)

// String returns the protocol's name in /etc/protocols, or its number.
func (p Protocol) String() string {
	switch p {
	case 0:
		return "any"
	case ICMP:
		return "icmp"
	case TCP:
		return "tcp"
	case UDP:
		return "udp"
	case ICMPv6:
		return "ipv6-icmp"
	}
	return fmt.Sprintf("protocol %d", uint8(p))
}

// HasPorts reports whether the protocol's packets carry ports.
func (p Protocol) HasPorts() bool { return p == TCP || p == UDP }

// Flow selects the packets of one conversation, named from its initiator's side.
// A zero field selects every value. One of Source and Destination, or Input,
// must be set: see Validate. Behind NAT a conversation is two flows.
type Flow struct {
	Protocol Protocol `json:"protocol,omitempty"`
	// Source and Destination are networks; an address is a network of one.
	Source          netip.Prefix `json:"source,omitzero"`
	Destination     netip.Prefix `json:"destination,omitzero"`
	SourcePort      uint16       `json:"source_port,omitempty"`
	DestinationPort uint16       `json:"destination_port,omitempty"`
	// Input is the interface that the initiator's packets come in by. Sources
	// that see packets without it ignore it.
	Input string `json:"input,omitempty"`
}

// To returns the flow of a protocol from an address to an address and port.
func To(p Protocol, source, destination netip.Addr, port uint16) Flow {
	return Flow{Protocol: p, Source: Host(source), Destination: Host(destination), DestinationPort: port}
}

// Host returns the network of one address; it is zero for the zero address.
func Host(a netip.Addr) netip.Prefix {
	if !a.IsValid() {
		return netip.Prefix{}
	}
	a = a.Unmap().WithZone("")
	return netip.PrefixFrom(a, a.BitLen())
}

// Is4 reports whether the flow has IPv4 packets; a flow that names no network has
// packets of both families.
func (f Flow) Is4() bool { return f.is(netip.Addr.Is4) }

// Is6 reports the same of IPv6.
func (f Flow) Is6() bool { return f.is(netip.Addr.Is6) }

func (f Flow) is(family func(netip.Addr) bool) bool {
	return (!f.Source.IsValid() || family(f.Source.Addr())) && (!f.Destination.IsValid() || family(f.Destination.Addr()))
}

// Validate returns an error for a flow that selects everything, or nothing.
func (f Flow) Validate() error {
	s, d := f.Source, f.Destination
	switch {
	case !s.IsValid() && !d.IsValid() && f.Input == "":
		return fmt.Errorf("follow flow %+v: it names no source, destination or input interface", f)
	case s.IsValid() && d.IsValid() && s.Addr().Is4() != d.Addr().Is4():
		return fmt.Errorf("follow flow %v to %v: the addresses are of two families", s, d)
	case (f.SourcePort != 0 || f.DestinationPort != 0) && !f.Protocol.HasPorts():
		return fmt.Errorf("follow flow %v to %v: %v has no ports", s, d, f.Protocol)
	}
	return nil
}

// Tuple is the five-tuple of one packet; ports are zero where there are none or
// where they were not seen.
type Tuple struct {
	Protocol    Protocol       `json:"protocol"`
	Source      netip.AddrPort `json:"source"`
	Destination netip.AddrPort `json:"destination"`
}

// Reverse returns the tuple of an answer.
func (t Tuple) Reverse() Tuple {
	return Tuple{Protocol: t.Protocol, Source: t.Destination, Destination: t.Source}
}

// Matches reports whether a packet is of the flow in the initiator's direction.
// The opposite direction is Matches of the reversed tuple.
func (f Flow) Matches(t Tuple) bool {
	in := func(p netip.Prefix, a netip.AddrPort, port uint16) bool {
		return (!p.IsValid() || p.Contains(a.Addr())) && (port == 0 || port == a.Port())
	}
	return (f.Protocol == 0 || f.Protocol == t.Protocol) &&
		in(f.Source, t.Source, f.SourcePort) && in(f.Destination, t.Destination, f.DestinationPort)
}

// Unavailable says why a source gives no sightings here. The other sources carry on.
type Unavailable struct {
	Source string `json:"source"` // the source, such as "kernel drops"
	Why    string `json:"why"`    // what is missing, and what would bring it
	Err    error  `json:"-"`      // what the kernel said, if it was asked
}

func (u *Unavailable) Error() string {
	if u.Err == nil {
		return fmt.Sprintf("%s: unavailable: %s", u.Source, u.Why)
	}
	return fmt.Sprintf("%s: unavailable: %s: %v", u.Source, u.Why, u.Err)
}

func (u *Unavailable) Unwrap() error { return u.Err }
