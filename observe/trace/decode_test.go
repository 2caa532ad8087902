package trace_test

import (
	"encoding/binary"
	"testing"

	"github.com/mdlayher/netlink"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/nestlab/nestlab/observe"
	"github.com/nestlab/nestlab/observe/ruleset"
	"github.com/nestlab/nestlab/observe/trace"
)

// message encodes a trace message, as the kernel does.
func message(family byte, attributes ...netlink.Attribute) []byte {
	b, err := netlink.MarshalAttributes(attributes)
	if err != nil {
		panic(err)
	}
	return append([]byte{family, 0, 0, 0}, b...)
}

func attribute(kind uint16, data ...byte) netlink.Attribute {
	return netlink.Attribute{Type: kind, Data: data}
}

func number(kind uint16, n uint32) netlink.Attribute {
	return attribute(kind, binary.BigEndian.AppendUint32(nil, n)...)
}

// dropped is a SYN that a rule drops.
func dropped() []byte {
	network := []byte{0x45, 0, 0, 60, 0x12, 0x34, 0x40, 0, 63, 6, 0, 0, 10, 77, 0, 2, 198, 51, 100, 2}
	transport := []byte{0xab, 0xcd, 0, 80, 1, 2, 3, 4, 0, 0, 0, 0, 0xa0, 2, 0, 0, 0, 0, 0, 0}
	verdict, err := netlink.MarshalAttributes([]netlink.Attribute{number(unix.NFTA_VERDICT_CODE, 0)})
	if err != nil {
		panic(err)
	}
	return message(unix.NFPROTO_IPV4,
		number(unix.NFTA_TRACE_ID, 0xd5a04b38), attribute(unix.NFTA_TRACE_TABLE, []byte("filter\x00")...), attribute(unix.NFTA_TRACE_CHAIN, []byte("FORWARD\x00")...),
		attribute(unix.NFTA_TRACE_RULE_HANDLE, 0, 0, 0, 0, 0, 0, 0, 7), number(unix.NFTA_TRACE_TYPE, unix.NFT_TRACETYPE_RULE),
		attribute(unix.NLA_F_NESTED|unix.NFTA_TRACE_VERDICT, verdict...), number(unix.NFTA_TRACE_IIF, 3), attribute(unix.NFTA_TRACE_IIFTYPE, 0, 1),
		number(unix.NFTA_TRACE_OIF, 4), attribute(unix.NFTA_TRACE_OIFTYPE, 0, 1), number(unix.NFTA_TRACE_MARK, 0x10), number(unix.NFTA_TRACE_NFPROTO, 2),
		attribute(unix.NFTA_TRACE_NETWORK_HEADER, network...), attribute(unix.NFTA_TRACE_TRANSPORT_HEADER, transport...),
		attribute(18, 0, 0, 0, 9), attribute(19, 1), number(20, 0x10), number(21, 2),
	)
}

func TestDecodeReadsEveryAttribute(t *testing.T) {
	m, err := trace.Decode(dropped())
	require.NoError(t, err)
	require.Equal(t, &trace.Message{
		ID: 0xd5a04b38, Family: ruleset.IP, Table: "filter", Chain: "FORWARD", Handle: 7, Type: trace.OfRule,
		Verdict: ruleset.Verdict{Kind: ruleset.Drop}, Mark: 0x10,
		In: &trace.Interface{Index: 3, Type: 1}, Out: &trace.Interface{Index: 4, Type: 1},
		Packet:    &trace.Packet{Tuple: tuple("10.77.0.2:43981", "198.51.100.2:80"), ID: 0x1234, TTL: 63, Length: 60, Sequence: 0x01020304, Flags: 2},
		Conntrack: &trace.Conntrack{ID: 9, Reply: true, Status: 0x10, State: 2},
	}, m)
}

// Ids are hashes, and come again: here with a packet whose way crosses that of one
// before it.
func TestPathsAreToldApartByTheirPackets(t *testing.T) {
	const left, right = 1, 2 // ids
	packet := func(id uint16) *trace.Packet {
		return &trace.Packet{Tuple: tuple("10.77.0.2:1000", "198.51.100.2:80"), ID: id}
	}
	var all []*trace.Message
	say := func(id uint32, family ruleset.Family, chain string, handle uint64, p *trace.Packet) {
		all = append(all, &trace.Message{ID: id, Family: family, Table: trace.OwnTable, Chain: chain, Handle: handle, Type: trace.OfRule, Packet: p})
	}
	for i, ids := range [][2]uint32{{left, right}, {3, right}, {right, left}} {
		say(ids[0], ruleset.Bridge, "prerouting", 1, packet(uint16(i)))
		say(ids[1], ruleset.INet, "forward_end", 0, packet(uint16(i)))
		say(ids[1], ruleset.INet, "postrouting_end", 0, packet(uint16(i)))
	}
	paths := trace.Assemble(all)
	require.Len(t, paths, 3)
	for i, p := range paths {
		require.Len(t, p.Passes, 3)
		require.Equal(t, ruleset.Postrouting, p.Last().Hook)
		for _, at := range p.Passes {
			require.EqualValues(t, i, at.Packet.ID)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(dropped())
	f.Add(message(unix.NFPROTO_INET, number(unix.NFTA_TRACE_TYPE, unix.NFT_TRACETYPE_POLICY), number(unix.NFTA_TRACE_POLICY, 0),
		attribute(unix.NFTA_TRACE_TABLE, 'x', 0), attribute(unix.NFTA_TRACE_CHAIN, 'y', 0)))
	f.Add(message(unix.NFPROTO_ARP, number(unix.NFTA_TRACE_TYPE, unix.NFT_TRACETYPE_RULE), attribute(unix.NFTA_TRACE_TABLE, 'x', 0), attribute(unix.NFTA_TRACE_CHAIN, 'y', 0),
		attribute(unix.NFTA_TRACE_LL_HEADER, 1), attribute(unix.NFTA_TRACE_NETWORK_HEADER, []byte("\x00\x01\x08\x00\x06\x04")...)))
	f.Add([]byte{2, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := trace.Decode(b)
		if err != nil {
			return
		}
		require.NotEmpty(t, m.Table)
		if m.Packet != nil && m.Packet.Tuple != (observe.Tuple{}) {
			require.True(t, m.Packet.Tuple.Source.Addr().IsValid())
			require.True(t, m.Packet.Tuple.Destination.Addr().IsValid())
		}
	})
}

func FuzzOwnerOf(f *testing.F) {
	f.Add("nestlab_trace_4026531836_28977_565754_1")
	f.Add("nestlab_trace_-1_2_3_4")
	f.Fuzz(func(t *testing.T, name string) {
		if pid, ok := trace.OwnerOf(name); ok {
			require.GreaterOrEqual(t, pid, 0)
		}
	})
}
