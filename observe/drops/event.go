package drops

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"

	"github.com/nestlab/nestlab/observe"
)

// The IPv6 extension headers that can stand before a transport header: hop-by-hop
// options, routing, fragment, authentication, destination options.
var extensions = []byte{0, 43, 44, 51, 60}

const (
	fragmentHeader = 44
	authentication = 51
	maxExtensions  = 8
)

// event is one drop as the program writes it.
type event struct {
	location  uint64
	reason    uint32
	namespace uint32
	index     uint32
	input     uint32
	length    uint32
	name      string
	packet    packet
}

// packet is what is read of a packet's headers.
type packet struct {
	tuple observe.Tuple
	// portless is true of a later fragment: its ports are not known.
	portless bool
	// kind and code are those of ICMP and ICMPv6.
	kind, code uint8
}

// parse reads an event of the program.
func parse(b []byte) (event, error) {
	if len(b) < eventSize {
		return event{}, fmt.Errorf("read a drop: %d bytes instead of %d", len(b), eventSize)
	}
	order := binary.NativeEndian
	e := event{
		location: order.Uint64(b[atLocation:]), reason: order.Uint32(b[atReason:]), namespace: order.Uint32(b[atNamespace:]),
		index: order.Uint32(b[atIndex:]), input: order.Uint32(b[atInput:]), length: order.Uint32(b[atLength:]),
	}
	name, _, _ := bytes.Cut(b[atName:atName+nameSize], []byte{0})
	e.name = string(name)
	// What is behind the packet's end in memory is not the packet's.
	linear := int(order.Uint32(b[atTail:])) - int(order.Uint16(b[atHeader:]))
	var err error
	e.packet, err = parsePacket(b[atPacket : atPacket+max(0, min(linear, snap))])
	return e, err
}

// parsePacket reads a packet from its IP header on.
func parsePacket(b []byte) (packet, error) {
	switch {
	case len(b) >= 20 && b[0]>>4 == 4:
		header := int(b[0]&0x0f) * 4
		if header < 20 || len(b) < header {
			return packet{}, fmt.Errorf("read an IPv4 header: %d of %d bytes", len(b), header)
		}
		p := packet{portless: binary.BigEndian.Uint16(b[6:])&0x1fff != 0}
		p.transport(observe.Protocol(b[9]), netip.AddrFrom4([4]byte(b[12:16])), netip.AddrFrom4([4]byte(b[16:20])), b[header:])
		return p, nil
	case len(b) >= 40 && b[0]>>4 == 6:
		var p packet
		next, rest := p.extensions(b[6], b[40:])
		p.transport(observe.Protocol(next), netip.AddrFrom16([16]byte(b[8:24])), netip.AddrFrom16([16]byte(b[24:40])), rest)
		return p, nil
	}
	return packet{}, fmt.Errorf("read an IP header: %d bytes that are none", len(b))
}

// extensions steps over IPv6 extension headers, as far as there are bytes.
func (p *packet) extensions(next byte, b []byte) (byte, []byte) {
	for range maxExtensions {
		if bytes.IndexByte(extensions, next) < 0 {
			return next, b
		}
		if len(b) < 8 {
			break
		}
		size := (int(b[1]) + 1) * 8
		switch next {
		case fragmentHeader:
			size = 8
			p.portless = binary.BigEndian.Uint16(b[2:])&0xfff8 != 0
		case authentication:
			size = (int(b[1]) + 2) * 4
		}
		if next, b = b[0], b[min(size, len(b)):]; p.portless {
			return next, b
		}
	}
	p.portless = true
	return next, nil
}

func (p *packet) transport(protocol observe.Protocol, source, destination netip.Addr, b []byte) {
	var ports [2]uint16
	switch {
	case p.portless:
	case len(b) < 4:
		p.portless = true
	case protocol.HasPorts():
		ports = [2]uint16{binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])}
	case protocol == observe.ICMP || protocol == observe.ICMPv6:
		p.kind, p.code = b[0], b[1]
	}
	p.tuple = observe.Tuple{Protocol: protocol, Source: netip.AddrPortFrom(source, ports[0]), Destination: netip.AddrPortFrom(destination, ports[1])}
}

// flowOf returns the place of the flow that a packet is of, and whether the
// packet goes the opposite way; -1 for none. Fragments are told by their addresses.
func flowOf(flows []observe.Flow, p packet) (int, bool) {
	for i, f := range flows {
		if p.portless {
			f.SourcePort, f.DestinationPort = 0, 0
		}
		if f.Matches(p.tuple) {
			return i, false
		}
		if f.Matches(p.tuple.Reverse()) {
			return i, true
		}
	}
	return -1, false
}
