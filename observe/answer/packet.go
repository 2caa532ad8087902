package answer

import (
	"encoding/binary"
	"net/netip"

	"github.com/nestlab/nestlab/observe"
)

// Numbers of RFC 792, 4443 and 9293.
const (
	flagRST       = 0x04
	unreachable   = 3
	fragmentation = 4 // a code of unreachable
	sourceQuench  = 4
	timeExceeded  = 11
	parameters    = 12
	packetTooBig  = 2   // ICMPv6
	informational = 128 // ICMPv6 from here on is no error
	ipv4Header    = 20
	ipv6Header    = 40
	icmpHeader    = 8
)

// packet is a reset or an ICMP error.
type packet struct {
	key
	hops       uint8
	from, to   netip.Addr
	protocol   observe.Protocol
	kind, code uint8
	mtu        uint32
	// refused is the packet that it answers.
	refused observe.Tuple
}

// key is what all sights of one answer share, before and behind NAT: of a reset
// its numbers, of an ICMP error its sender and what the packet that it answers
// was identified by.
type key struct {
	protocol   observe.Protocol
	kind, code uint8
	sender     netip.Addr
	id         uint64
}

// header is what matters of an IP header.
type header struct {
	from, to netip.Addr
	protocol observe.Protocol
	hops     uint8
	id       uint16 // of IPv4
	rest     []byte
}

func parseHeader(b []byte) (header, bool) {
	switch {
	case len(b) >= ipv4Header && b[0]>>4 == 4:
		size := int(b[0]&0x0f) * 4
		if size < ipv4Header || len(b) < size || binary.BigEndian.Uint16(b[6:])&0x1fff != 0 {
			return header{}, false
		}
		return header{
			netip.AddrFrom4([4]byte(b[12:16])), netip.AddrFrom4([4]byte(b[16:20])), observe.Protocol(b[9]), b[8], binary.BigEndian.Uint16(b[4:]), b[size:],
		}, true
	case len(b) >= ipv6Header && b[0]>>4 == 6: // without extension headers, as resets and errors are
		return header{
			netip.AddrFrom16([16]byte(b[8:24])), netip.AddrFrom16([16]byte(b[24:40])), observe.Protocol(b[6]), b[7], 0, b[ipv6Header:],
		}, true
	}
	return header{}, false
}

// parse reads a reset or an ICMP error from its IP header on; false for all else.
func parse(b []byte) (packet, bool) {
	h, ok := parseHeader(b)
	if !ok {
		return packet{}, false
	}
	p := packet{hops: h.hops, from: h.from, to: h.to, protocol: h.protocol}
	switch {
	case h.protocol == observe.TCP:
		ok = p.reset(h)
	case h.protocol == observe.ICMP && h.from.Is4(), h.protocol == observe.ICMPv6 && h.from.Is6():
		ok = p.icmp(h)
	default:
		ok = false
	}
	return p, ok
}

func (p *packet) reset(h header) bool {
	b := h.rest
	if len(b) < 14 || b[13]&flagRST == 0 {
		return false
	}
	p.refused = observe.Tuple{
		Protocol:    observe.TCP,
		Source:      netip.AddrPortFrom(h.to, binary.BigEndian.Uint16(b[2:])),
		Destination: netip.AddrPortFrom(h.from, binary.BigEndian.Uint16(b)),
	}
	// The sequence and acknowledgement numbers are those of the connection.
	p.key = key{protocol: observe.TCP, id: binary.BigEndian.Uint64(b[4:])}
	return true
}

func (p *packet) icmp(h header) bool {
	b := h.rest
	if len(b) < icmpHeader || !isError(h.protocol, b[0]) {
		return false
	}
	inner, ok := parseHeader(b[icmpHeader:])
	if !ok {
		return false
	}
	p.kind, p.code = b[0], b[1]
	switch {
	case h.protocol == observe.ICMP && p.kind == unreachable && p.code == fragmentation:
		p.mtu = uint32(binary.BigEndian.Uint16(b[6:]))
	case h.protocol == observe.ICMPv6 && p.kind == packetTooBig:
		p.mtu = binary.BigEndian.Uint32(b[4:])
	}
	var ports [2]uint16
	id := uint64(inner.id) << 32
	if inner.protocol.HasPorts() && len(inner.rest) >= 4 {
		ports = [2]uint16{binary.BigEndian.Uint16(inner.rest), binary.BigEndian.Uint16(inner.rest[2:])}
	}
	if inner.protocol == observe.TCP && len(inner.rest) >= 8 {
		id |= uint64(binary.BigEndian.Uint32(inner.rest[4:])) // the sequence number
	} else if inner.id == 0 { // NAT may change the source port; then two sights are two answers
		id |= uint64(ports[0])<<16 | uint64(ports[1])
	}
	p.refused = observe.Tuple{Protocol: inner.protocol, Source: netip.AddrPortFrom(inner.from, ports[0]), Destination: netip.AddrPortFrom(inner.to, ports[1])}
	p.key = key{h.protocol, p.kind, p.code, h.from, id}
	return true
}

func isError(protocol observe.Protocol, kind byte) bool {
	if protocol == observe.ICMPv6 {
		return kind < informational
	}
	return kind == unreachable || kind == sourceQuench || kind == timeExceeded || kind == parameters
}
