package hops

import (
	"fmt"

	"golang.org/x/net/bpf"
)

const (
	etherIPv4 = 0x0800
	// snap is what is kept of a packet: the longest IPv4 header and the first
	// bytes of what is in it.
	snap = 60 + 20
)

// filter lets the kernel drop what parse would not count, above all the data of
// TCP connections, so that watching a fast uplink costs next to nothing. A
// datagram packet socket sees packets from their network header on.
func filter() ([]bpf.RawInstruction, error) {
	const reject, accept = 13, 12
	program := []bpf.Instruction{
		0:  bpf.LoadExtension{Num: bpf.ExtProto},
		1:  bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: etherIPv4, SkipTrue: reject - 2},
		2:  bpf.LoadAbsolute{Off: 6, Size: 2},
		3:  bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: 0x1fff, SkipTrue: reject - 4}, // a later fragment
		4:  bpf.LoadAbsolute{Off: 9, Size: 1},
		5:  bpf.JumpIf{Cond: bpf.JumpEqual, Val: protocolUDP, SkipTrue: accept - 6},
		6:  bpf.JumpIf{Cond: bpf.JumpEqual, Val: protocolICMP, SkipTrue: accept - 7},
		7:  bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: protocolTCP, SkipTrue: reject - 8},
		8:  bpf.LoadMemShift{Off: 0},
		9:  bpf.LoadIndirect{Off: 13, Size: 1},
		10: bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: flagSYN | flagRST, SkipTrue: accept - 11},
		11: bpf.Jump{Skip: reject - 12},
		12: bpf.RetConstant{Val: snap},
		13: bpf.RetConstant{Val: 0},
	}
	raw, err := bpf.Assemble(program)
	if err != nil {
		return nil, fmt.Errorf("assemble the packet filter: %w", err)
	}
	return raw, nil
}
