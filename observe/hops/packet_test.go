package hops

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/bpf"

	"github.com/nestlab/nestlab/model"
)

var (
	guest  = netip.MustParseAddr("10.77.0.73")
	site   = netip.MustParseAddr("198.51.100.10")
	other  = netip.MustParseAddr("198.51.100.99")
	runner = netip.MustParseAddr("198.51.100.200")
)

// ipv4 makes a packet with a header of that many words.
func ipv4(protocol byte, words int, from, to netip.Addr, payload ...byte) []byte {
	b := make([]byte, words*4)
	b[0], b[9] = 0x40|byte(words), protocol
	copy(b[12:], from.AsSlice())
	copy(b[16:], to.AsSlice())
	return append(b, payload...)
}

func tcp(flags byte) []byte { b := make([]byte, 20); b[13] = flags; return b }

func udp(from, to uint16) []byte {
	b := make([]byte, 8)
	binary.BigEndian.PutUint16(b, from)
	binary.BigEndian.PutUint16(b[2:], to)
	return b
}

func icmp(kind byte) []byte { b := make([]byte, 8); b[0] = kind; return b }

func packets() map[string]struct {
	raw  []byte
	kind kind
	ok   bool
} {
	fragment := ipv4(protocolTCP, 5, guest, site, tcp(flagSYN)...)
	fragment[7] = 2
	return map[string]struct {
		raw  []byte
		kind kind
		ok   bool
	}{
		"syn":              {ipv4(protocolTCP, 5, guest, site, tcp(flagSYN)...), kindSYN, true},
		"syn with options": {ipv4(protocolTCP, 15, guest, site, tcp(flagSYN)...), kindSYN, true},
		"syn-ack":          {ipv4(protocolTCP, 5, guest, site, tcp(flagSYN|flagACK)...), kindSYNACK, true},
		"reset":            {ipv4(protocolTCP, 5, guest, site, tcp(flagRST|flagACK)...), kindReset, true},
		"data":             {ipv4(protocolTCP, 5, guest, site, tcp(flagACK)...), kindOther, false},
		"query":            {ipv4(protocolUDP, 5, guest, site, udp(40000, 53)...), kindDNSQuery, true},
		"answer":           {ipv4(protocolUDP, 5, guest, site, udp(53, 40000)...), kindDNSAnswer, true},
		"other udp":        {ipv4(protocolUDP, 5, guest, site, udp(68, 67)...), kindOther, true},
		"echo":             {ipv4(protocolICMP, 5, guest, site, icmp(echoRequest)...), kindEchoRequest, true},
		"echo reply":       {ipv4(protocolICMP, 5, guest, site, icmp(echoReply)...), kindEchoReply, true},
		"unreachable":      {ipv4(protocolICMP, 5, guest, site, icmp(3)...), kindOther, true},
		"another protocol": {ipv4(47, 5, guest, site, tcp(flagSYN)...), kindOther, false},
		"a later fragment": {fragment, kindSYN, false},
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	for name, p := range packets() {
		got, ok := parse(p.raw)
		require.Equal(t, p.ok, ok, name)
		if ok {
			require.Equal(t, seen{from: guest, to: site, kind: p.kind}, got, name)
		}
	}
	for _, short := range [][]byte{nil, {0x45}, make([]byte, 20), ipv4(protocolTCP, 5, guest, site), ipv4(protocolUDP, 5, guest, site, 1), ipv4(protocolICMP, 5, guest, site, 8), {0x4f, 19: 0}, {0x44, 40: 0}, {0x65, 40: 0}} {
		_, ok := parse(short)
		require.False(t, ok, "%x", short)
	}
}

// TestFilterAgrees runs the kernel's filter in a machine of its own: it has to
// let through what parse counts, and no data of connections.
func TestFilterAgrees(t *testing.T) {
	t.Parallel()
	raw, err := filter()
	require.NoError(t, err)
	program, whole := bpf.Disassemble(raw)
	require.True(t, whole)
	// Outside a kernel the packet's protocol is not available: it is IPv4 here.
	program[0] = bpf.LoadConstant{Dst: bpf.RegA, Val: etherIPv4}
	machine, err := bpf.NewVM(program)
	require.NoError(t, err)
	for name, p := range packets() {
		kept, err := machine.Run(p.raw)
		require.NoError(t, err)
		require.Equal(t, p.ok, kept > 0, name)
	}
	program[0] = bpf.LoadConstant{Dst: bpf.RegA, Val: 0x86dd}
	machine, err = bpf.NewVM(program)
	require.NoError(t, err)
	kept, err := machine.Run(packets()["syn"].raw)
	require.NoError(t, err)
	require.Zero(t, kept, "IPv6 is not counted")
}

func FuzzParse(f *testing.F) {
	for _, p := range packets() {
		f.Add(p.raw)
		f.Add(p.raw[:len(p.raw)/2])
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		p, ok := parse(raw)
		if ok {
			require.True(t, p.from.Is4() && p.to.Is4())
			require.LessOrEqual(t, p.kind, kindEchoReply)
		}
	})
}

func TestCounter(t *testing.T) {
	t.Parallel()
	c := newCounter()
	for _, p := range []seen{
		{guest, site, kindSYN}, {guest, site, kindSYN}, {site, guest, kindSYNACK}, {site, guest, kindReset},
		{guest, runner, kindDNSQuery}, {runner, guest, kindDNSAnswer}, {guest, site, kindEchoRequest}, {site, guest, kindEchoReply},
		{guest, site, kindOther},
		{runner, site, kindSYN}, {site, runner, kindSYNACK}, {runner, other, kindSYN}, {other, runner, kindSYNACK},
		{runner, other, kindDNSQuery}, {other, runner, kindDNSAnswer},
	} {
		c.add(p)
	}
	require.Equal(t, model.Flow{Out: 5, Back: 4, SYN: 2, SYNACK: 1, Resets: 1, DNSQueries: 1, DNSAnswers: 1, EchoRequests: 1, EchoReplies: 1},
		c.place([]netip.Addr{guest}))
	require.Equal(t, model.Flow{Out: 2, Back: 2, SYN: 1, SYNACK: 1, DNSQueries: 1, DNSAnswers: 1},
		c.runner([]netip.Addr{runner}, []netip.Addr{site}), "of others than the targets only names count")
	require.Equal(t, model.Flow{}, c.place(nil))
}

func TestCounterIsBounded(t *testing.T) {
	t.Parallel()
	c := newCounter()
	a := netip.MustParseAddr("10.0.0.0")
	for range maxPairs + 10 {
		a = a.Next()
		c.add(seen{a, site, kindSYN})
	}
	require.Len(t, c.pairs, maxPairs)
	require.EqualValues(t, 10, c.missed)
}
