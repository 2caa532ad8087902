package drops

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/observe"
)

// An IPv4 header of a UDP packet with one option, and its ports.
var udp4 = "\x46\x00\x00\x24\x00\x01\x00\x00\x40\x11\x00\x00\x0a\x00\x00\x01\x0a\x00\x00\x02\x01\x01\x01\x01" + "\x9c\x40\x00\x35"

func ip6(next byte, rest string) string {
	return "\x60\x00\x00\x00\x00\x10" + string([]byte{next}) + "\x40" + strings.Repeat("\x00", 15) + "\x01" + strings.Repeat("\x00", 15) + "\x02" + rest
}

func TestParsePacket(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		packet   string
		protocol observe.Protocol
		port     uint16
		portless bool
		kind     uint8
	}{
		"IPv4 with an option":   {udp4, observe.UDP, 53, false, 0},
		"a later fragment":      {udp4[:6] + "\x00\x10" + udp4[8:], observe.UDP, 0, true, 0},
		"without ports":         {udp4[:24], observe.UDP, 0, true, 0},
		"IPv6":                  {ip6(6, "\x00\x01\x00\x50"), observe.TCP, 80, false, 0},
		"IPv6 with options":     {ip6(0, "\x3c\x00......"+"\x06\x00......"+"\x00\x01\x00\x50"), observe.TCP, 80, false, 0},
		"IPv6, first fragment":  {ip6(44, "\x11\x00\x00\x01...."+"\x00\x01\x00\x35"), observe.UDP, 53, false, 0},
		"IPv6, later fragment":  {ip6(44, "\x11\x00\x00\x09...."+"\x00\x01\x00\x35"), observe.UDP, 0, true, 0},
		"IPv6 without an end":   {ip6(0, strings.Repeat("\x00\x00......", 5)), 0, 0, true, 0},
		"IPv6 echo request":     {ip6(58, "\x80\x00\x00\x00"), observe.ICMPv6, 0, false, 128},
		"IPv6 with a signature": {ip6(51, "\x06\x01.........."+"\x00\x01\x00\x50"), observe.TCP, 80, false, 0},
	} {
		p, err := parsePacket([]byte(c.packet))
		require.NoError(t, err, name)
		require.Equal(t, c.protocol, p.tuple.Protocol, name)
		require.Equal(t, c.port, p.tuple.Destination.Port(), name)
		require.Equal(t, c.portless, p.portless, name)
		require.Equal(t, c.kind, p.kind, name)
	}
	for _, broken := range []string{"", "\x45", "\x60" + udp4, "\x4f" + udp4[1:], "\x44" + udp4[1:], "\x00" + udp4[1:]} {
		_, err := parsePacket([]byte(broken))
		require.Error(t, err, "%q", broken)
	}
}

func TestFlowOf(t *testing.T) {
	t.Parallel()
	p, err := parsePacket([]byte(udp4))
	require.NoError(t, err)
	a, b := p.tuple.Source.Addr(), p.tuple.Destination.Addr()
	flows := []observe.Flow{observe.To(observe.TCP, a, b, 53), observe.To(observe.UDP, a, b, 54), observe.To(observe.UDP, a, b, 53)}
	flow, reply := flowOf(flows, p)
	require.Equal(t, 2, flow)
	require.False(t, reply)
	flow, _ = flowOf(flows[:2], p)
	require.Equal(t, -1, flow)
	p.tuple = p.tuple.Reverse()
	flow, reply = flowOf(flows, p)
	require.Equal(t, 2, flow)
	require.True(t, reply)
	p, err = parsePacket([]byte(udp4[:6] + "\x00\x10" + udp4[8:]))
	require.NoError(t, err)
	flow, _ = flowOf(flows, p)
	require.Equal(t, 1, flow, "a fragment is told by its addresses")
}

func FuzzParsePacket(f *testing.F) {
	f.Add([]byte(udp4))
	f.Add([]byte(ip6(0, "\x3c\x00......"+"\x06\x00......"+"\x00\x01\x00\x50")))
	f.Add([]byte(ip6(44, "\x11\x00\x00\x09....")))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := parsePacket(b)
		if err == nil && (!p.tuple.Source.IsValid() || p.portless && p.tuple.Destination.Port() != 0) {
			t.Fatalf("%x is read as %+v", b, p)
		}
	})
}

func TestParseKnowsTheEnd(t *testing.T) {
	t.Parallel()
	b := make([]byte, eventSize)
	copy(b[atPacket:], udp4)
	_, err := parse(b)
	require.ErrorContains(t, err, "0 bytes", "the packet ends where it begins")
	_, err = parse(b[1:])
	require.ErrorContains(t, err, "bytes instead of")
}

const symbolList = `0000000000000000 A fixed_percpu_data
ffffffff81000000 T _stext
ffffffff81000100 T nf_hook_slow
ffffffff81000180 d data_between
ffffffff81000200 t ip_rcv_finish_core.isra.0
ffffffffc0000000 t nft_do_chain	[nf_tables]
ffffffffa0000000 t early	[bridge]
`

func TestLookUp(t *testing.T) {
	t.Parallel()
	got, err := lookUp(strings.NewReader(symbolList), []uint64{0xffffffff81000190, 0xffffffff81000200, 0xffffffffc0000001, 0xffffffffa0000010, 0xffffffff81000120, 1})
	require.NoError(t, err)
	require.Equal(t, "nf_hook_slow", got[0xffffffff81000190].name)
	require.Equal(t, "nf_hook_slow", got[0xffffffff81000120].name)
	require.Equal(t, "ip_rcv_finish_core", got[0xffffffff81000200].name)
	require.Equal(t, symbol{0xffffffffc0000000, "nft_do_chain", "nf_tables"}, got[0xffffffffc0000001])
	require.Equal(t, "bridge", got[0xffffffffa0000010].module)
	require.NotContains(t, got, uint64(1))

	_, err = lookUp(strings.NewReader("0000000000000000 T _stext\n"), []uint64{1})
	require.ErrorIs(t, err, errHidden)
	_, err = lookUp(strings.NewReader("what\n"), []uint64{1})
	require.ErrorContains(t, err, `invalid line "what"`)
}

func FuzzLookUp(f *testing.F) {
	f.Add(symbolList, uint64(0xffffffff81000190))
	f.Fuzz(func(t *testing.T, list string, address uint64) {
		got, err := lookUp(strings.NewReader(list), []uint64{address, address + 1})
		if err == nil && got[address].address > address {
			t.Fatalf("%x is in %+v", address, got[address])
		}
	})
}

func TestReasonNames(t *testing.T) {
	t.Parallel()
	r := reasons{2: "NOT_SPECIFIED"}
	require.Equal(t, "NOT_SPECIFIED", r.name(2))
	require.Equal(t, "SUBSYSTEM_3_REASON_5", r.name(3<<16|5))
	require.Empty(t, reasons{}.name(2))
}
