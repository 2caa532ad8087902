package answer

import (
	"fmt"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/nestlab/nestlab/observe"
)

// snap is what is kept of a packet: the longest IPv4 header, an ICMP header, and
// the same again of the packet that is answered.
const snap = 60 + icmpHeader + 60 + 20

// filter lets through resets and ICMP errors alone, of one direction: few packets
// even on a busy uplink.
func filter(incoming bool) ([]bpf.RawInstruction, error) {
	direction := bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.PACKET_OUTGOING}
	if incoming {
		direction.Cond = bpf.JumpNotEqual
	}
	const six, accept, reject = 14, 21, 22
	direction.SkipFalse = reject - 2
	program := []bpf.Instruction{
		0: bpf.LoadExtension{Num: bpf.ExtType},
		1: direction,
		2: bpf.LoadExtension{Num: bpf.ExtProto},
		3: bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.ETH_P_IPV6, SkipTrue: six - 4},
		4: bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: unix.ETH_P_IP, SkipTrue: reject - 5},
		5: bpf.LoadMemShift{Off: 0},
		6: bpf.LoadAbsolute{Off: 9, Size: 1},
		7: bpf.JumpIf{Cond: bpf.JumpEqual, Val: uint32(observe.ICMP), SkipTrue: 11 - 8},
		8: bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: uint32(observe.TCP), SkipTrue: reject - 9},
		9: bpf.LoadIndirect{Off: 13, Size: 1},
		// A reset, of both families.
		10: bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: flagRST, SkipTrue: accept - 11, SkipFalse: reject - 11},
		// Errors are types 3, 4, 11 and 12; echoes are the many others.
		11: bpf.LoadIndirect{Off: 0, Size: 1},
		12: bpf.JumpIf{Cond: bpf.JumpEqual, Val: 0, SkipTrue: reject - 13},
		13: bpf.JumpIf{Cond: bpf.JumpEqual, Val: 8, SkipTrue: reject - 14, SkipFalse: accept - 14},
		14: bpf.LoadAbsolute{Off: 6, Size: 1},
		15: bpf.JumpIf{Cond: bpf.JumpEqual, Val: uint32(observe.ICMPv6), SkipTrue: 19 - 16},
		16: bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: uint32(observe.TCP), SkipTrue: reject - 17},
		17: bpf.LoadAbsolute{Off: ipv6Header + 13, Size: 1},
		18: bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: flagRST, SkipTrue: accept - 19, SkipFalse: reject - 19},
		19: bpf.LoadAbsolute{Off: ipv6Header, Size: 1},
		20: bpf.JumpIf{Cond: bpf.JumpGreaterOrEqual, Val: informational, SkipTrue: reject - 21},
		21: bpf.RetConstant{Val: snap},
		22: bpf.RetConstant{Val: 0},
	}
	raw, err := bpf.Assemble(program)
	if err != nil {
		return nil, fmt.Errorf("assemble the packet filter: %w", err)
	}
	return raw, nil
}
