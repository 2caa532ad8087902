package ruleset

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// bit names of fields that hold flags.
var flagNames = map[string][]string{
	"ct state":  {"invalid", "established", "related", "new", "", "", "untracked"},
	"ct status": {"expected", "seen-reply", "assured", "confirmed", "snat", "dnat"},
	"tcp flags": {"fin", "syn", "rst", "psh", "ack", "urg", "ecn", "cwr"},
}

func flagged(name string) bool { return flagNames[name] != nil }

var protocols = map[byte]string{
	unix.IPPROTO_TCP: "tcp", unix.IPPROTO_UDP: "udp", unix.IPPROTO_ICMP: "icmp", unix.IPPROTO_ICMPV6: "icmpv6",
	unix.IPPROTO_SCTP: "sctp", unix.IPPROTO_GRE: "gre", unix.IPPROTO_ESP: "esp", unix.IPPROTO_AH: "ah", unix.IPPROTO_UDPLITE: "udplite",
}

var icmpTypes = map[string]map[byte]string{
	"icmp type": {0: "echo-reply", 3: "destination-unreachable", 8: "echo-request", 11: "time-exceeded"},
	"icmpv6 type": {
		1: "destination-unreachable", 2: "packet-too-big", 3: "time-exceeded", 128: "echo-request", 129: "echo-reply",
		133: "nd-router-solicit", 134: "nd-router-advert", 135: "nd-neighbor-solicit", 136: "nd-neighbor-advert",
	},
}

// value shows the bytes that a field is compared with.
func value(name string, data []byte) string {
	switch {
	case flagged(name):
		return flags(name, data)
	case strings.HasSuffix(name, "ifname") || strings.HasSuffix(name, "brname"):
		text, _, ends := bytes.Cut(data, []byte{0})
		if !ends {
			return strconv.Quote(string(text) + "*") // compared up to here only
		}
		return strconv.Quote(string(text))
	case strings.HasSuffix(name, "ether") || strings.HasPrefix(name, "ether ") && len(data) == 6:
		return net.HardwareAddr(data).String()
	case strings.HasSuffix(name, "addr") || strings.HasSuffix(name, "addr ip"):
		return address(strings.Contains(name, "ip6"), data)
	case strings.HasSuffix(name, "port") && len(data) == 2, strings.HasSuffix(name, " length") && len(data) == 2:
		return fmt.Sprint(binary.BigEndian.Uint16(data))
	case name == "meta nfproto" && len(data) == 1:
		if n := map[byte]string{unix.NFPROTO_IPV4: "ipv4", unix.NFPROTO_IPV6: "ipv6"}[data[0]]; n != "" {
			return n
		}
	case (name == "meta protocol" || name == "ether type") && len(data) == 2:
		if n := map[uint16]string{unix.ETH_P_IP: "ip", unix.ETH_P_IPV6: "ip6", unix.ETH_P_ARP: "arp"}[binary.BigEndian.Uint16(data)]; n != "" {
			return n
		}
	case (name == "meta l4proto" || name == "ip protocol" || name == "ip6 nexthdr") && len(data) == 1:
		if n, ok := protocols[data[0]]; ok {
			return n
		}
	case strings.HasSuffix(name, " type") && icmpTypes[name] != nil && len(data) == 1:
		if n, ok := icmpTypes[name][data[0]]; ok {
			return n
		}
	case name == "arp operation" && len(data) == 2:
		if n := map[byte]string{1: "request", 2: "reply"}[data[1]]; n != "" {
			return n
		}
	case strings.HasPrefix(name, "fib ") && strings.HasSuffix(name, "oif") && strings.Trim(string(data), "\x00") == "":
		return "missing"
	case strings.HasPrefix(name, "fib ") && strings.HasSuffix(name, "type") && len(data) == 4:
		if n := map[uint32]string{1: "unicast", 2: "local", 3: "broadcast", 4: "anycast", 5: "multicast", 6: "blackhole", 7: "unreachable", 8: "prohibit"}[binary.NativeEndian.Uint32(data)]; n != "" {
			return n
		}
	}
	return number(name, data)
}

// number shows a number: marks and interface indexes are in the machine's byte order.
func number(name string, data []byte) string {
	switch {
	case len(data) == 1:
		return fmt.Sprint(data[0])
	case len(data) == 4 && strings.HasSuffix(name, "mark"):
		return fmt.Sprintf("0x%08x", binary.NativeEndian.Uint32(data))
	case len(data) == 4 && (name == "iif" || name == "oif"):
		index := binary.NativeEndian.Uint32(data)
		if i, err := net.InterfaceByIndex(int(index)); err == nil {
			return strconv.Quote(i.Name)
		}
		return fmt.Sprint(index)
	case len(data) == 4 && (strings.HasPrefix(name, "meta sk") || strings.HasPrefix(name, "numgen")):
		return fmt.Sprint(binary.NativeEndian.Uint32(data))
	case len(data) == 4 && strings.HasSuffix(name, " length"):
		return fmt.Sprint(binary.BigEndian.Uint32(data))
	}
	return fmt.Sprintf("0x%x", data)
}

func flags(name string, data []byte) string {
	bits := uint32(0)
	switch {
	case len(data) == 1:
		bits = uint32(data[0])
	case len(data) == 4:
		bits = binary.NativeEndian.Uint32(data)
	}
	var out []string
	for i, n := range flagNames[name] {
		if bits&(1<<i) != 0 && n != "" {
			out = append(out, n)
		}
	}
	if len(out) == 0 {
		return fmt.Sprintf("0x%x", bits)
	}
	return strings.Join(out, ",")
}

// address shows an address, of which trailing bytes may be missing.
func address(six bool, data []byte) string {
	size := 4
	if six || len(data) > 4 {
		size = 16
	}
	a, _ := netip.AddrFromSlice(append(bytes.Clone(data), make([]byte, max(0, size-len(data)))...))
	return a.String()
}

// shown bounds how many elements of an anonymous set a rule's text shows.
const shown = 16

// elementsText shows the elements of an anonymous set in the order of their keys.
func (s *set) elementsText(left string) string {
	all := slices.Clone(s.elements)
	slices.SortFunc(all, func(a, b element) int { return bytes.Compare(a.key, b.key) })
	var out []string
	for i, e := range all {
		if e.end {
			continue
		}
		text := value(left, e.key)
		if strings.Contains(left, " . ") {
			text = fmt.Sprintf("0x%x", e.key)
		}
		if s.interval && i+1 < len(all) && all[i+1].end {
			text = interval(left, e.key, all[i+1].key)
		}
		switch {
		case e.verdict != nil:
			text += " : " + e.verdict.String()
		case s.isMap:
			text += fmt.Sprintf(" : 0x%x", e.value)
		}
		if out = append(out, text); len(out) == shown && i+1 < len(all) {
			out = append(out, "...")
			break
		}
	}
	return "{ " + strings.Join(out, ", ") + " }"
}

// interval shows the values from one up to another, which is not of them: one
// value, a prefix or a range.
func interval(left string, from, to []byte) string {
	last := new(big.Int).SetBytes(to)
	last.Sub(last, big.NewInt(1))
	if last.Sign() < 0 || last.BitLen() > 8*len(from) {
		return value(left, from)
	}
	end := last.FillBytes(make([]byte, len(from)))
	if bytes.Equal(from, end) {
		return value(left, from)
	}
	if strings.HasSuffix(left, "addr") {
		mask := make([]byte, len(from))
		for i := range from {
			mask[i] = ^(from[i] ^ end[i])
		}
		if ones, bits := net.IPMask(mask).Size(); bits > 0 && address(false, from) == address(false, masked(from, mask)) {
			return fmt.Sprintf("%s/%d", value(left, from), ones)
		}
	}
	return value(left, from) + "-" + value(left, end)
}

func masked(data, mask []byte) []byte {
	out := bytes.Clone(data)
	for i := range out {
		out[i] &= mask[i]
	}
	return out
}
