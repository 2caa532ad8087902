package trace

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/nestlab/nestlab/observe"
)

// Packet is what the trace shows of a packet's headers.
type Packet struct {
	// Tuple is zero where the headers are of neither IP nor ARP. Of an ARP packet it
	// has the addresses of the sender and the target.
	Tuple observe.Tuple `json:"tuple"`
	ARP   bool          `json:"arp,omitempty"`
	// ID is IPv4's identification; IPv6 has none.
	ID     uint16 `json:"id,omitempty"`
	TTL    uint8  `json:"ttl,omitempty"`
	Length uint16 `json:"length,omitempty"`
	// Sequence and Flags are TCP's; Type and Code those of ICMP and ICMPv6.
	Sequence uint32 `json:"sequence,omitempty"`
	Flags    uint8  `json:"flags,omitempty"`
	Type     uint8  `json:"icmp_type,omitempty"`
	Code     uint8  `json:"icmp_code,omitempty"`
	// Echo is the identifier and sequence of an ICMP echo.
	Echo uint32 `json:"echo,omitempty"`
}

// parse reads headers, each of which may be cut short.
func parse(network, transport, link []byte) *Packet {
	p := &Packet{}
	switch {
	case arp(network, link):
		p.ARP = true
		p.Tuple.Source, p.Tuple.Destination = address4(network[14:18]), address4(network[24:28])
		return p
	case len(network) >= 20 && network[0]>>4 == 4:
		p.Length, p.ID = binary.BigEndian.Uint16(network[2:]), binary.BigEndian.Uint16(network[4:])
		p.TTL, p.Tuple.Protocol = network[8], observe.Protocol(network[9])
		p.Tuple.Source, p.Tuple.Destination = address4(network[12:16]), address4(network[16:20])
	case len(network) >= 40 && network[0]>>4 == 6:
		p.Length = binary.BigEndian.Uint16(network[4:]) // of the payload
		p.TTL, p.Tuple.Protocol = network[7], observe.Protocol(network[6])
		source, _ := netip.AddrFromSlice(network[8:24])
		destination, _ := netip.AddrFromSlice(network[24:40])
		p.Tuple.Source, p.Tuple.Destination = netip.AddrPortFrom(source, 0), netip.AddrPortFrom(destination, 0)
	default:
		return p
	}
	p.transport(transport)
	return p
}

// arp reports whether a header is that of ARP for IPv4 over Ethernet. The link
// header tells the type; without it, the fixed fields do.
func arp(network, link []byte) bool {
	if len(network) < 28 || (len(link) >= 14 && binary.BigEndian.Uint16(link[12:]) != unix.ETH_P_ARP) {
		return false
	}
	return string(network[:6]) == "\x00\x01\x08\x00\x06\x04"
}

func address4(b []byte) netip.AddrPort { return netip.AddrPortFrom(netip.AddrFrom4([4]byte(b)), 0) }

func (p *Packet) transport(b []byte) {
	switch t := &p.Tuple; t.Protocol {
	case observe.TCP, observe.UDP:
		if len(b) < 4 {
			return
		}
		t.Source = netip.AddrPortFrom(t.Source.Addr(), binary.BigEndian.Uint16(b))
		t.Destination = netip.AddrPortFrom(t.Destination.Addr(), binary.BigEndian.Uint16(b[2:]))
		if t.Protocol == observe.TCP && len(b) >= 14 {
			p.Sequence, p.Flags = binary.BigEndian.Uint32(b[4:]), b[13]
		}
	case observe.ICMP, observe.ICMPv6:
		if len(b) < 2 {
			return
		}
		p.Type, p.Code = b[0], b[1]
		if len(b) >= 8 {
			p.Echo = binary.BigEndian.Uint32(b[4:])
		}
	}
}

// same reports whether two sightings can be of one packet that was not translated
// between them. The TTL falls on the way.
func (p *Packet) same(q *Packet) bool {
	a, b := *p, *q
	a.TTL, b.TTL = 0, 0
	return a == b
}
