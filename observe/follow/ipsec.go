package follow

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/nestlab/nestlab/model"
)

// maxPolicies bounds the policies of IPsec that are told of.
const maxPolicies = 64

// blocking are the policies of IPsec that block packets, and those that want them encrypted
// though there is no state for it.
func blocking() ([]model.IPsecPolicy, error) {
	all, err := netlink.XfrmPolicyList(netlink.FAMILY_ALL)
	switch {
	case errors.Is(err, unix.EPROTONOSUPPORT), errors.Is(err, unix.EINVAL): // the kernel has no IPsec
		return nil, nil
	case err != nil && !errors.Is(err, netlink.ErrDumpInterrupted):
		return nil, fmt.Errorf("list the policies of IPsec: %w", err)
	}
	if len(all) == 0 {
		return nil, nil
	}
	states, err := netlink.XfrmStateList(netlink.FAMILY_ALL)
	if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) {
		return nil, fmt.Errorf("list the states of IPsec: %w", err)
	}
	var out []model.IPsecPolicy
	for _, p := range all {
		direction, ok := directions[p.Dir]
		// One of a mark or an interface of its own is for what a tunnel's interface sends.
		if !ok || len(out) == maxPolicies || p.Ifid != 0 || p.Mark != nil || p.Ifindex != 0 {
			continue
		}
		one := model.IPsecPolicy{Source: prefix(p.Src), Destination: prefix(p.Dst), Direction: direction, Priority: p.Priority}
		if lacks := stateless(p, states); p.Action != netlink.XFRM_POLICY_BLOCK && lacks != nil {
			one.Tunnel, _ = netip.AddrFromSlice(lacks.Dst)
			one.Tunnel = one.Tunnel.Unmap()
		} else if p.Action != netlink.XFRM_POLICY_BLOCK {
			continue
		}
		out = append(out, one)
	}
	return out, nil
}

// stateless is the template of a policy about what is sent that no state fits; nil for none.
func stateless(p netlink.XfrmPolicy, states []netlink.XfrmState) *netlink.XfrmPolicyTmpl {
	if p.Dir != netlink.XFRM_DIR_OUT {
		return nil
	}
	for i, t := range p.Tmpls {
		fits := func(s netlink.XfrmState) bool {
			return s.Proto == t.Proto && s.Mode == t.Mode && (t.Reqid == 0 || s.Reqid == t.Reqid) && (!isSet(t.Dst) || s.Dst.Equal(t.Dst))
		}
		if isSet(t.Dst) && t.Optional == 0 && !slices.ContainsFunc(states, fits) {
			return &p.Tmpls[i]
		}
	}
	return nil
}

func isSet(ip net.IP) bool { return len(ip) > 0 && !ip.IsUnspecified() }

// directions are those that ip xfrm names.
var directions = map[netlink.Dir]string{netlink.XFRM_DIR_IN: "in", netlink.XFRM_DIR_OUT: "out", netlink.XFRM_DIR_FWD: "fwd"}

// prefix is a network as netip has it; zero for none.
func prefix(n *net.IPNet) netip.Prefix {
	if n == nil {
		return netip.Prefix{}
	}
	a, _ := netip.AddrFromSlice(n.IP)
	ones, bits := n.Mask.Size()
	if bits == 32 {
		a = a.Unmap()
	}
	return netip.PrefixFrom(a, ones)
}
