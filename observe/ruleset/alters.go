package ruleset

import (
	"encoding/binary"

	"github.com/google/nftables/expr"
	"github.com/google/nftables/xt"
)

// alterationOf is what an expression changes of packets; empty for what is none of the
// alterations.
func alterationOf(family Family, e Expression) Alteration {
	switch x := e.Expr.(type) {
	case *expr.Payload:
		if x.OperationType == expr.PayloadWrite && x.Base == expr.PayloadBaseNetworkHeader && writesTTL(family, x) {
			return SetsTTL
		}
	case *expr.Ct:
		if x.SourceRegister && x.Key == expr.CtKeyZONE {
			return SetsZone
		}
	case *expr.Meta:
		if x.SourceRegister && x.Key == expr.MetaKeyMARK {
			return SetsMark
		}
	case *expr.Target:
		return targetAlters(x)
	}
	if e.Name == "notrack" {
		return Untracks
	}
	return ""
}

// writesTTL reports whether a write takes in the TTL, at 8, or IPv6's hop limit, at 7, and
// not what is after it: nft writes two bytes for the checksum's sake.
func writesTTL(family Family, x *expr.Payload) bool {
	covers := func(at uint32) bool { return x.Offset <= at && at < x.Offset+x.Len && x.Len <= 2 }
	switch family {
	case IP:
		return covers(8)
	case IP6:
		return covers(7)
	}
	return covers(8) || covers(7)
}

// targetAlters is that of iptables' extensions.
func targetAlters(x *expr.Target) Alteration {
	const notrack = 1 // XT_CT_NOTRACK of xt_CT.h
	switch x.Name {
	case "TTL", "HL":
		return SetsTTL
	case "NOTRACK":
		return Untracks
	case "CT":
		info, ok := x.Info.(*xt.Unknown)
		switch { // flags, then the zone
		case !ok || len(*info) < 4:
		case binary.NativeEndian.Uint16(*info)&notrack != 0:
			return Untracks
		case binary.NativeEndian.Uint16((*info)[2:]) != 0:
			return SetsZone
		}
	case "MARK":
		return SetsMark
	}
	return ""
}
