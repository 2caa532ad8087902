package trace

import (
	"encoding/binary"
	"net/netip"

	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"github.com/nestlab/nestlab/observe"
	"github.com/nestlab/nestlab/observe/ruleset"
)

// selector writes the rules that select a flow's packets in a table of one family.
type selector struct {
	family ruleset.Family
	// ports are the ports of each flow's input interface, where that is a bridge:
	// frames on it have them for their interface.
	ports map[string][]string
	rate  uint32
}

// rules returns the rules for one direction of a flow on a hook, each with the
// statement that starts the trace; none where no such packet comes there.
func (s selector) rules(f observe.Flow, reply bool, hook ruleset.Hook) [][]expr.Any {
	inputs, key, ok := s.interfaces(f, reply, hook)
	if !ok {
		return nil
	}
	var base []expr.Any
	if s.family == ruleset.ARP {
		if !f.Is4() || reply {
			return nil // one packet has both addresses
		}
		return s.ends(arpMatches(f), inputs, key)
	}
	source, destination := f.Source, f.Destination
	sourcePort, destinationPort := f.SourcePort, f.DestinationPort
	if reply {
		source, destination, sourcePort, destinationPort = destination, source, destinationPort, sourcePort
		// Before NAT is undone a reply goes to an address of the runner's own.
		if source.IsValid() {
			destination, destinationPort = netip.Prefix{}, 0
		}
	}
	if source.IsValid() || destination.IsValid() {
		base = append(base, s.version(source, destination)...)
	}
	if f.Protocol != 0 {
		base = append(base, meta(expr.MetaKeyL4PROTO, []byte{byte(f.Protocol)})...)
	}
	base = append(base, address(true, source)...)
	base = append(base, address(false, destination)...)
	base = append(base, port(0, sourcePort)...)
	base = append(base, port(2, destinationPort)...)
	all := [][]expr.Any{base}
	if s.family == ruleset.Bridge && !reply && f.Is4() {
		for _, m := range arpMatches(f) {
			all = append(all, append(meta(expr.MetaKeyPROTOCOL, binary.BigEndian.AppendUint16(nil, unix.ETH_P_ARP)), m...))
		}
	}
	return s.ends(all, inputs, key)
}

// interfaces returns the interfaces to limit a rule to, no names for no limit. The
// runner's own packets have no input, and a reply is known by its source or goes
// out by the flow's input.
func (s selector) interfaces(f observe.Flow, reply bool, hook ruleset.Hook) (names []string, key expr.MetaKey, ok bool) {
	if f.Input == "" {
		return nil, 0, true
	}
	out := hook == ruleset.Output
	named := f.Source.IsValid() || f.Destination.IsValid()
	names = []string{f.Input}
	if s.family == ruleset.Bridge || s.family == ruleset.Netdev {
		names = append(names, s.ports[f.Input]...)
	}
	switch {
	case !reply && !out:
		return names, expr.MetaKeyIIFNAME, true
	case reply && named:
		return nil, 0, true
	case reply && out:
		return names, expr.MetaKeyOIFNAME, true
	case s.family == ruleset.ARP || s.family == ruleset.Bridge:
		// The runner asks for neighbours, and sends on the bridge what it routes.
		return nil, 0, named
	}
	return nil, 0, false
}

// ends completes rules: their interface, the rate limit and the trace.
func (s selector) ends(bases [][]expr.Any, interfaces []string, key expr.MetaKey) [][]expr.Any {
	if len(interfaces) == 0 {
		interfaces = []string{""}
	}
	var out [][]expr.Any
	for _, base := range bases {
		for _, name := range interfaces {
			var rule []expr.Any
			if name != "" {
				rule = append(rule, meta(key, device(name))...)
			}
			out = append(out, append(append(rule, base...),
				&expr.Limit{Type: expr.LimitTypePkts, Rate: uint64(s.rate), Unit: expr.LimitTimeSecond, Burst: s.rate},
				&expr.Immediate{Register: 1, Data: []byte{1}},
				&expr.Meta{Key: expr.MetaKeyNFTRACE, SourceRegister: true, Register: 1},
			))
		}
	}
	return out
}

// version matches the IP version of a flow's addresses.
func (s selector) version(source, destination netip.Prefix) []expr.Any {
	six := source.Addr().Is6() || destination.Addr().Is6()
	if s.family == ruleset.INet {
		return meta(expr.MetaKeyNFPROTO, []byte{map[bool]byte{false: unix.NFPROTO_IPV4, true: unix.NFPROTO_IPV6}[six]})
	}
	return meta(expr.MetaKeyPROTOCOL, binary.BigEndian.AppendUint16(nil, map[bool]uint16{false: unix.ETH_P_IP, true: unix.ETH_P_IPV6}[six]))
}

// arpMatches match ARP packets whose sender or target is of the flow.
func arpMatches(f observe.Flow) [][]expr.Any {
	var out [][]expr.Any
	for _, network := range []netip.Prefix{f.Source, f.Destination} {
		if network.IsValid() {
			const sender, target = 14, 24
			out = append(out, in(sender, network), in(target, network))
		}
	}
	if out == nil {
		out = [][]expr.Any{nil} // limited by the interface alone
	}
	return out
}

func address(source bool, network netip.Prefix) []expr.Any {
	if !network.IsValid() {
		return nil
	}
	offset := uint32(16)
	switch {
	case network.Addr().Is4() && source:
		offset = 12
	case network.Addr().Is6() && source:
		offset = 8
	case network.Addr().Is6():
		offset = 24
	}
	return in(offset, network)
}

// in matches an address at an offset of the network header.
func in(offset uint32, network netip.Prefix) []expr.Any {
	network = network.Masked()
	length := uint32(network.Addr().BitLen() / 8)
	mask := make([]byte, length)
	for i := range network.Bits() {
		mask[i/8] |= 0x80 >> (i % 8)
	}
	return []expr.Any{
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: length},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: length, Mask: mask, Xor: make([]byte, length)},
		equal(network.Addr().AsSlice()),
	}
}

// port matches a port at an offset of the transport header; 0 is any.
func port(offset uint32, number uint16) []expr.Any {
	if number == 0 {
		return nil
	}
	return []expr.Any{
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: offset, Len: 2},
		equal(binary.BigEndian.AppendUint16(nil, number)),
	}
}

func meta(key expr.MetaKey, data []byte) []expr.Any {
	return []expr.Any{&expr.Meta{Key: key, Register: 1}, equal(data)}
}

func equal(data []byte) expr.Any { return &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: data} }

// device is an interface's name as rules hold it.
func device(name string) []byte {
	out := make([]byte, unix.IFNAMSIZ)
	copy(out, name)
	return out
}
