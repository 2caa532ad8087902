package route

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"slices"

	mdnetlink "github.com/mdlayher/netlink" // nl.ParseRouteAttr panics at an odd end
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/nestlab/nestlab/observe"
)

// actions of rules (fib_rules.h); goto and nop are none.
var actions = map[uint8]Kind{
	nl.FR_ACT_TO_TBL: Unicast, nl.FR_ACT_BLACKHOLE: Blackhole, nl.FR_ACT_UNREACHABLE: Unreachable, nl.FR_ACT_PROHIBIT: Prohibit,
}

// Rules lists the policy rules of a family, in the kernel's order. The library's
// own list lacks the action.
func Rules(ipv4 bool) ([]Rule, error) {
	family := unix.AF_INET6
	if ipv4 {
		family = unix.AF_INET
	}
	req := nl.NewNetlinkRequest(unix.RTM_GETRULE, unix.NLM_F_DUMP)
	req.AddData(nl.NewIfInfomsg(family))
	messages, err := req.Execute(unix.NETLINK_ROUTE, unix.RTM_NEWRULE)
	if err != nil {
		return nil, fmt.Errorf("list the policy routing rules: %w", err)
	}
	var rules []Rule
	for _, m := range messages {
		r, err := decodeRule(m)
		if err != nil {
			return nil, err
		}
		rules = append(rules, r)
	}
	slices.SortStableFunc(rules, func(a, b Rule) int { return a.Priority - b.Priority })
	return rules, nil
}

// decodeRule reads a rule message of the kernel, which has the form of a route's.
func decodeRule(b []byte) (Rule, error) {
	if len(b) < unix.SizeofRtMsg {
		return Rule{}, fmt.Errorf("read a policy routing rule of the kernel: %d bytes", len(b))
	}
	msg := nl.DeserializeRtMsg(b)
	attrs, err := mdnetlink.UnmarshalAttributes(b[unix.SizeofRtMsg:])
	if err != nil {
		return Rule{}, fmt.Errorf("read a policy routing rule of the kernel: %w", err)
	}
	r := Rule{Kind: actions[msg.Type], Table: int(msg.Table), Invert: msg.Flags&netlink.FibRuleInvert != 0, SuppressPrefix: -1}
	for _, a := range attrs {
		r.set(a.Type, a.Data, msg)
	}
	return r, nil
}

func (r *Rule) set(attr uint16, v []byte, msg *nl.RtMsg) {
	switch attr {
	case nl.FRA_PRIORITY:
		r.Priority = number(v)
	case nl.FRA_TABLE:
		r.Table = number(v)
	case nl.FRA_GOTO:
		r.Goto = number(v)
	case nl.FRA_SRC:
		r.Source = network(v, msg.Src_len)
	case nl.FRA_DST:
		r.Destination = network(v, msg.Dst_len)
	case nl.FRA_IIFNAME:
		r.Input = text(v)
	case nl.FRA_OIFNAME:
		r.Output = text(v)
	case nl.FRA_FWMARK:
		r.Mark = uint32(number(v))
	case nl.FRA_FWMASK:
		r.Mask = uint32(number(v))
	case nl.FRA_SUPPRESS_PREFIXLEN:
		r.SuppressPrefix = int(int32(number(v))) // -1 for none
	case nl.FRA_IP_PROTO:
		r.Protocol = observe.Protocol(first(v))
	case nl.FRA_SPORT_RANGE:
		r.SourcePort = portRange(v)
	case nl.FRA_DPORT_RANGE:
		r.DestinationPort = portRange(v)
	case nl.FRA_UID_RANGE:
		if len(v) >= 8 {
			r.UID = &Range{uint32(number(v)), uint32(number(v[4:]))}
		}
	case nl.FRA_L3MDEV:
		r.VRF = first(v) != 0
	}
}

func first(b []byte) byte {
	if len(b) == 0 {
		return 0
	}
	return b[0]
}

func text(b []byte) string {
	b, _, _ = bytes.Cut(b, []byte{0})
	return string(b)
}

func portRange(b []byte) *Range {
	if len(b) < 4 {
		return nil
	}
	order := nl.NativeEndian()
	return &Range{uint32(order.Uint16(b)), uint32(order.Uint16(b[2:]))}
}

func network(b []byte, bits uint8) netip.Prefix {
	a, _ := netip.AddrFromSlice(b)
	return netip.PrefixFrom(a, int(bits))
}

// prefix is zero for no network, which is the default route's.
func prefix(n *net.IPNet) netip.Prefix {
	if n == nil {
		return netip.Prefix{}
	}
	ip := n.IP
	if four := ip.To4(); four != nil && len(n.Mask) == net.IPv4len {
		ip = four
	}
	a, _ := netip.AddrFromSlice(ip)
	ones, _ := n.Mask.Size()
	return netip.PrefixFrom(a, ones)
}
