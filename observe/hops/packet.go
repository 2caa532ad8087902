// Package hops counts what the runner's interfaces see of a place while it is
// probed: which packets reach the bridge, which leave on the uplink, and which
// answers come back. It tells where packets were last seen.
package hops

import (
	"encoding/binary"
	"net/netip"
)

// kind is what a packet is to the counters.
type kind int

const (
	kindOther kind = iota
	kindSYN
	kindSYNACK
	kindReset
	kindDNSQuery
	kindDNSAnswer
	kindEchoRequest
	kindEchoReply
)

// Numbers of RFC 791, 792, 1035 and 9293.
const (
	protocolICMP = 1
	protocolTCP  = 6
	protocolUDP  = 17
	dnsPort      = 53
	flagSYN      = 0x02
	flagRST      = 0x04
	flagACK      = 0x10
	echoReply    = 0
	echoRequest  = 8
)

// seen is what is read of one.
type seen struct {
	from, to netip.Addr
	kind     kind
}

// parse reads an IPv4 packet from its first byte on. It is false for what is not
// counted: other protocols, later fragments, data of TCP connections, and what
// is too short to be told.
func parse(b []byte) (seen, bool) {
	if len(b) < 20 || b[0]>>4 != 4 {
		return seen{}, false
	}
	header := int(b[0]&0x0f) * 4
	if header < 20 || len(b) < header || binary.BigEndian.Uint16(b[6:])&0x1fff != 0 {
		return seen{}, false
	}
	k, ok := transport(b[9], b[header:])
	return seen{from: netip.AddrFrom4([4]byte(b[12:16])), to: netip.AddrFrom4([4]byte(b[16:20])), kind: k}, ok
}

func transport(protocol byte, b []byte) (kind, bool) {
	switch protocol {
	case protocolTCP:
		if len(b) < 14 {
			return kindOther, false
		}
		return tcpKind(b[13])
	case protocolUDP:
		if len(b) < 8 {
			return kindOther, false
		}
		switch {
		case binary.BigEndian.Uint16(b[2:]) == dnsPort:
			return kindDNSQuery, true
		case binary.BigEndian.Uint16(b) == dnsPort:
			return kindDNSAnswer, true
		}
		return kindOther, true
	case protocolICMP:
		if len(b) < 8 {
			return kindOther, false
		}
		switch b[0] {
		case echoRequest:
			return kindEchoRequest, true
		case echoReply:
			return kindEchoReply, true
		}
		return kindOther, true
	}
	return kindOther, false
}

func tcpKind(flags byte) (kind, bool) {
	switch {
	case flags&flagRST != 0:
		return kindReset, true
	case flags&flagSYN != 0 && flags&flagACK != 0:
		return kindSYNACK, true
	case flags&flagSYN != 0:
		return kindSYN, true
	}
	return kindOther, false
}
