package facts

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// RuleText shows a rule much as nft would. The kernel keeps no text, so what is
// not known here shows as its expression's name in angle brackets.
func RuleText(exprs []expr.Any) string {
	var words []string
	left, mask := "", "" // what was loaded last, waiting for its comparison
	for _, e := range exprs {
		switch e := e.(type) {
		case *expr.Meta:
			mask = ""
			left = metaName(e.Key)
		case *expr.Ct:
			left = ctName(e.Key)
		case *expr.Payload:
			left, mask = payloadName(e)
		case *expr.Bitwise:
			if left == "ct state" {
				words = append(words, left+" "+ctStates(e.Mask))
				left = ""
			} else if ones, bits := net.IPMask(e.Mask).Size(); bits > 0 {
				mask = fmt.Sprintf("/%d", ones)
			}
		case *expr.Cmp:
			if left != "" {
				words = append(words, left+operator(e.Op)+" "+value(left, e.Data)+mask)
			}
			left, mask = "", ""
		case *expr.Lookup:
			words = append(words, strings.TrimSpace(left+" "+lookupText(e)))
			left = ""
		default:
			words = append(words, statement(e))
		}
	}
	return strings.Join(words, " ")
}

func metaName(k expr.MetaKey) string {
	switch k {
	case expr.MetaKeyIIFNAME:
		return "iifname"
	case expr.MetaKeyOIFNAME:
		return "oifname"
	case expr.MetaKeyL4PROTO:
		return "meta l4proto"
	case expr.MetaKeyNFPROTO:
		return "meta nfproto"
	case expr.MetaKeyMARK:
		return "meta mark"
	case expr.MetaKeyLEN:
		return "meta length"
	}
	return fmt.Sprintf("meta <%d>", k)
}

func ctName(k expr.CtKey) string {
	if k == expr.CtKeySTATE {
		return "ct state"
	}
	return fmt.Sprintf("ct <%d>", k)
}

// payloadName knows the fields that firewall rules use, by their place in a
// header. Of an address only the first bytes are loaded where its prefix ends
// at a byte's end; the second value is that prefix.
func payloadName(p *expr.Payload) (name, prefix string) {
	type field struct {
		base   expr.PayloadBase
		offset uint32
		most   uint32
	}
	for f, name := range map[field]string{
		{expr.PayloadBaseNetworkHeader, 12, 4}:  "ip saddr",
		{expr.PayloadBaseNetworkHeader, 16, 4}:  "ip daddr",
		{expr.PayloadBaseNetworkHeader, 8, 16}:  "ip6 saddr",
		{expr.PayloadBaseNetworkHeader, 24, 16}: "ip6 daddr",
		{expr.PayloadBaseTransportHeader, 0, 2}: "th sport",
		{expr.PayloadBaseTransportHeader, 2, 2}: "th dport",
	} {
		switch {
		case f.base != p.Base || f.offset != p.Offset || p.Len > f.most:
		case p.Len == f.most:
			return name, ""
		case strings.HasSuffix(name, "addr"):
			return name, fmt.Sprintf("/%d", p.Len*8)
		}
	}
	return fmt.Sprintf("payload@%d,%d,%d", p.Base, p.Offset*8, p.Len*8), ""
}

func operator(op expr.CmpOp) string {
	switch op {
	case expr.CmpOpNeq:
		return " !="
	case expr.CmpOpLt:
		return " <"
	case expr.CmpOpLte:
		return " <="
	case expr.CmpOpGt:
		return " >"
	case expr.CmpOpGte:
		return " >="
	}
	return ""
}

func value(left string, data []byte) string {
	switch {
	case strings.HasSuffix(left, "ifname"):
		name, padded := bytes.CutSuffix(data, []byte{0})
		name, _, _ = bytes.Cut(name, []byte{0})
		if !padded {
			return fmt.Sprintf("%q", string(name)+"*") // compared up to here only
		}
		return fmt.Sprintf("%q", name)
	case strings.HasSuffix(left, "addr"):
		size := 4
		if strings.HasPrefix(left, "ip6") {
			size = 16
		}
		if a, ok := netip.AddrFromSlice(append(bytes.Clone(data), make([]byte, max(0, size-len(data)))...)); ok {
			return a.String()
		}
	case strings.HasSuffix(left, "port") && len(data) == 2:
		return fmt.Sprint(int(data[0])<<8 | int(data[1]))
	case left == "meta nfproto" && len(data) == 1:
		return map[byte]string{unix.NFPROTO_IPV4: "ipv4", unix.NFPROTO_IPV6: "ipv6"}[data[0]]
	case left == "meta l4proto" && len(data) == 1:
		names := map[byte]string{unix.IPPROTO_TCP: "tcp", unix.IPPROTO_UDP: "udp", unix.IPPROTO_ICMP: "icmp", unix.IPPROTO_ICMPV6: "ipv6-icmp"}
		if name, ok := names[data[0]]; ok {
			return name
		}
	}
	return fmt.Sprintf("0x%x", data)
}

// ctStates are the bits of a connection's state (nf_conntrack_common.h).
func ctStates(mask []byte) string {
	if len(mask) == 0 {
		return "<none>"
	}
	var out []string
	for i, name := range []string{"invalid", "established", "related", "new"} {
		if mask[0]&(1<<i) != 0 {
			out = append(out, name)
		}
	}
	return strings.Join(out, ",")
}

func lookupText(e *expr.Lookup) string {
	if e.IsDestRegSet {
		return "vmap @" + e.SetName
	}
	if e.Invert {
		return "!= @" + e.SetName
	}
	return "@" + e.SetName
}

func statement(e expr.Any) string {
	switch e := e.(type) {
	case *expr.Counter:
		return "counter"
	case *expr.Reject:
		return "reject"
	case *expr.Target:
		return "xt target " + e.Name
	case *expr.Match:
		return "xt match " + e.Name
	case *expr.Verdict:
		return verdict(e)
	}
	return "<" + strings.ToLower(strings.TrimPrefix(fmt.Sprintf("%T", e), "*expr.")) + ">"
}

func verdict(v *expr.Verdict) string {
	switch v.Kind {
	case expr.VerdictDrop:
		return "drop"
	case expr.VerdictAccept:
		return "accept"
	case expr.VerdictReturn:
		return "return"
	case expr.VerdictJump:
		return "jump " + v.Chain
	case expr.VerdictGoto:
		return "goto " + v.Chain
	}
	return "continue"
}
