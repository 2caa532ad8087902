package nettest

import (
	"encoding/binary"

	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// Drop drops what the expressions before it match.
func Drop() expr.Any { return &expr.Verdict{Kind: expr.VerdictDrop} }

// Protocol matches a transport protocol by its number.
func Protocol(number byte) []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{number}},
	}
}

// LongerThan matches packets of more than n bytes, IP header included.
func LongerThan(n uint32) []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyLEN, Register: 1},
		// Big-endian, as the kernel compares bytes.
		&expr.Byteorder{SourceRegister: 1, DestRegister: 1, Op: expr.ByteorderHton, Len: 4, Size: 4},
		&expr.Cmp{Op: expr.CmpOpGt, Register: 1, Data: binary.BigEndian.AppendUint32(nil, n)},
	}
}

// ToPort matches the destination port of TCP and UDP.
func ToPort(port uint16) []expr.Any {
	return []expr.Any{
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: binary.BigEndian.AppendUint16(nil, port)},
	}
}

// IPv4 matches packets of that family.
func IPv4() []expr.Any { return family(unix.NFPROTO_IPV4) }

// IPv6 matches packets of that family.
func IPv6() []expr.Any { return family(unix.NFPROTO_IPV6) }

func family(number byte) []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyNFPROTO, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{number}},
	}
}
