package model

import "net/netip"

// Refusal is resets of TCP, or ICMP errors, of one sender that answered what a place tried.
type Refusal struct {
	// Protocol is tcp for a reset, icmp or ipv6-icmp for an error with its type and code.
	Protocol string `json:"protocol"`
	Type     uint8  `json:"type,omitempty"`
	Code     uint8  `json:"code,omitempty"`
	// By is who sent it, by its address; To is what was tried.
	By netip.Addr     `json:"by"`
	To netip.AddrPort `json:"to"`
	// In is the runner's interface that it came in by first; empty for what the runner sent.
	In string `json:"in,omitempty"`
	// Packets is how many were seen.
	Packets uint64 `json:"packets"`
}

// Own reports whether the runner itself refused.
func (r Refusal) Own() bool { return r.In == "" }

// Meaning is the refusal in words of RFC 792, 1812, 4443 and 9293.
func (r Refusal) Meaning() string {
	switch {
	case r.Protocol == "tcp":
		return "TCP resets"
	case r.Protocol == "icmp" && r.Type == 3:
		return name("ICMP", []string{
			"network unreachable", "host unreachable", "protocol unreachable", "port unreachable", "fragmentation needed", "source route failed",
			"network unknown", "host unknown", "source host isolated", "network administratively prohibited", "host administratively prohibited",
			"network unreachable for this type of service", "host unreachable for this type of service", "communication administratively prohibited",
		}, r.Code, "destination unreachable")
	case r.Protocol == "icmp" && r.Type == 11:
		return "ICMP: time exceeded"
	case r.Protocol == "ipv6-icmp" && r.Type == 1:
		return name("ICMPv6", []string{
			"no route", "administratively prohibited", "beyond scope of source address", "address unreachable", "port unreachable",
			"source address failed policy", "reject route",
		}, r.Code, "destination unreachable")
	case r.Protocol == "ipv6-icmp" && r.Type == 3:
		return "ICMPv6: time exceeded"
	case r.Protocol == "icmp":
		return "ICMP errors"
	default:
		return "ICMPv6 errors"
	}
}

func name(protocol string, codes []string, code uint8, other string) string {
	if int(code) < len(codes) {
		other = codes[code]
	}
	return protocol + ": " + other
}

// Refused are the refusals; none where nothing was followed.
func (s *Sightings) Refused() []Refusal {
	if s == nil {
		return nil
	}
	return s.Refusals
}
