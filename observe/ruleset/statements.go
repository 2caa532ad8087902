package ruleset

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/google/nftables/expr"
	"github.com/google/nftables/xt"
	"golang.org/x/sys/unix"
)

// statement shows what a rule does; the counter is left out, as is a rule's text
// where nft is asked for it.
func (r *renderer) statement(e Expression) {
	switch x := e.Expr.(type) {
	case *expr.Counter:
	case *expr.Reject:
		r.say("%s", rejectText(r.in.Family, x))
	case *expr.Verdict:
		r.say("%s", verdictOf(x))
	case *expr.Masq:
		r.say("masquerade")
	case *expr.Redir:
		r.say("redirect%s", portText(r.constantOf(x.RegisterProtoMin, "port")))
	case *expr.NAT:
		kind := map[expr.NATType]string{expr.NATTypeSourceNAT: "snat", expr.NATTypeDestNAT: "dnat"}[x.Type]
		if r.in.Family == INet {
			kind += map[uint32]string{unix.NFPROTO_IPV4: " ip", unix.NFPROTO_IPV6: " ip6"}[x.Family]
		}
		r.say("%s to %s%s", kind, r.constantOf(x.RegAddrMin, "addr"), strings.TrimPrefix(portText(r.constantOf(x.RegProtoMin, "port")), " to "))
	case *expr.Limit:
		over, unit := "", map[expr.LimitTime]string{1: "second", 60: "minute", 3600: "hour", 86400: "day", 604800: "week"}[x.Unit]
		if x.Over {
			over = "over "
		}
		r.say("limit rate %s%d/%s burst %d", over, x.Rate, unit, x.Burst)
	case *expr.Log:
		r.say("log prefix %q", strings.TrimRight(string(x.Data), "\x00"))
	case *expr.Queue:
		r.say("queue to %d", x.Num)
	case *expr.Connlimit:
		r.say("ct count %s%d", map[bool]string{true: "over "}[x.Flags != 0], x.Count)
	case *expr.Quota:
		r.say("quota %s%d bytes", map[bool]string{true: "over "}[x.Over], x.Bytes)
	case *expr.Objref:
		r.say("object %q", x.Name)
	case *expr.Dynset:
		r.say("%s @%s { %s }", map[uint32]string{0: "add", 1: "update", 2: "delete"}[x.Operation], x.SetName, r.takeAll())
	case *expr.Match:
		r.say("%s", matchText(x))
	case *expr.Target:
		r.say("xt target %q", x.Name)
	default:
		if e.Name != "byteorder" { // of no meaning to a reader
			r.say("<%s>", e.Name)
		}
	}
}

func (r *renderer) constantOf(register uint32, as string) string {
	if register == 0 {
		return ""
	}
	return r.constant(register, as)
}

func portText(port string) string {
	if port == "" {
		return ""
	}
	return " to :" + port
}

// rejectText names what the sender is told.
func rejectText(f Family, x *expr.Reject) string {
	codes := map[uint8]string{0: "net-unreachable", 1: "host-unreachable", 2: "prot-unreachable", 3: "port-unreachable", 9: "net-prohibited", 10: "host-prohibited", 13: "admin-prohibited"}
	kind := "icmp"
	switch {
	case x.Type == unix.NFT_REJECT_TCP_RST:
		return "reject with tcp reset"
	case x.Type == unix.NFT_REJECT_ICMPX_UNREACH:
		kind, codes = "icmpx", map[uint8]string{0: "no-route", 1: "port-unreachable", 2: "host-unreachable", 3: "admin-prohibited"}
	case f == IP6:
		kind, codes = "icmpv6", map[uint8]string{0: "no-route", 1: "admin-prohibited", 3: "addr-unreachable", 4: "port-unreachable", 5: "policy-fail", 6: "reject-route"}
	}
	code, ok := codes[x.Code]
	if !ok {
		code = fmt.Sprint(x.Code)
	}
	return "reject with " + kind + " " + code
}

// matchText shows an iptables extension as iptables would, where the library knows
// its structure.
func matchText(x *expr.Match) string {
	switch i := x.Info.(type) {
	case *xt.Comment:
		text, _, _ := bytes.Cut([]byte(*i), []byte{0})
		return fmt.Sprintf("/* %s */", text)
	case *xt.Tcp:
		return portsText("tcp", i.SrcPorts, i.DstPorts, i.InvFlags&xt.TcpInvSrcPorts != 0, i.InvFlags&xt.TcpInvDestPorts != 0)
	case *xt.Udp:
		return portsText("udp", i.SrcPorts, i.DstPorts, i.InvFlags&xt.UdpInvSrcPorts != 0, i.InvFlags&xt.UdpInvDestPorts != 0)
	case *xt.ConntrackMtinfo3:
		if i.MatchFlags&uint16(xt.ConntrackState) != 0 {
			return "ctstate " + xtStates(i.StateMask)
		}
	}
	return fmt.Sprintf("xt match %q", x.Name)
}

func portsText(protocol string, source, destination [2]uint16, notSource, notDestination bool) string {
	out := protocol
	for _, p := range []struct {
		name  string
		ports [2]uint16
		not   bool
	}{{"spt", source, notSource}, {"dpt", destination, notDestination}} {
		not := map[bool]string{true: "!"}[p.not]
		switch {
		case p.ports == [2]uint16{0, 65535}:
		case p.ports[0] == p.ports[1]:
			out += fmt.Sprintf(" %s:%s%d", p.name, not, p.ports[0])
		default:
			out += fmt.Sprintf(" %ss:%s%d:%d", p.name, not, p.ports[0], p.ports[1])
		}
	}
	return out
}

// xtStates names the states of xt_conntrack.h.
func xtStates(mask uint16) string {
	var out []string
	for i, name := range []string{"INVALID", "ESTABLISHED", "RELATED", "NEW", "", "", "SNAT", "DNAT", "UNTRACKED"} {
		if mask&(1<<i) != 0 && name != "" {
			out = append(out, name)
		}
	}
	return strings.Join(out, ",")
}
