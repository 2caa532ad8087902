package networks

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// LinkAttribute is the value of an attribute of an interface, which may be within others; nil
// where the kernel tells none.
func LinkAttribute(index int, path ...uint16) ([]byte, error) {
	req := nl.NewNetlinkRequest(unix.RTM_GETLINK, unix.NLM_F_ACK)
	msg := nl.NewIfInfomsg(unix.AF_UNSPEC)
	msg.Index = int32(index)
	req.AddData(msg)
	answers, err := req.Execute(unix.NETLINK_ROUTE, unix.RTM_NEWLINK)
	if err != nil {
		return nil, fmt.Errorf("read the interface %d: %w", index, err)
	}
	for _, a := range answers {
		if len(a) < unix.SizeofIfInfomsg {
			continue
		}
		if value := nested(a[unix.SizeofIfInfomsg:], path...); value != nil {
			return value, nil
		}
	}
	return nil, nil
}

// nested is the value of an attribute within attributes; nil where it is not there.
func nested(b []byte, path ...uint16) []byte {
	for _, kind := range path {
		all, err := nl.ParseRouteAttr(b)
		if err != nil {
			return nil
		}
		b = nil
		for _, a := range all {
			if a.Attr.Type&^(unix.NLA_F_NESTED|unix.NLA_F_NET_BYTEORDER) == kind {
				b = a.Value
			}
		}
	}
	return b
}

// The state of STP that the kernel itself speaks, and the ticks in which it tells times.
const (
	kernelSTP = 1
	tick      = 10 * time.Millisecond
)

// portDelay is how long a new port of a bridge takes no packets: with STP it listens and
// learns first, each for the forward delay.
func portDelay(bridge int) (time.Duration, error) {
	value := func(attribute uint16) (uint32, error) {
		b, err := LinkAttribute(bridge, unix.IFLA_LINKINFO, unix.IFLA_INFO_DATA, attribute)
		if err != nil || len(b) < 4 {
			return 0, err
		}
		return binary.NativeEndian.Uint32(b), nil
	}
	stp, err := value(unix.IFLA_BR_STP_STATE)
	if err != nil || stp != kernelSTP {
		return 0, err
	}
	delay, err := value(unix.IFLA_BR_FORWARD_DELAY)
	return 2 * time.Duration(delay) * tick, err
}

// guestNetwork is the IPv4 network that containers on a bridge are of, by the address of the
// first that has one: what is at the other end of a port the kernel tells of other network
// namespaces too, since Linux 4.20. It is zero where there is none.
func guestNetwork(bridge string) (netip.Prefix, error) {
	links, err := netlink.LinkList()
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("list interfaces: %w", err)
	}
	at := 0
	for _, l := range links {
		if l.Attrs().Name == bridge {
			at = l.Attrs().Index
		}
	}
	for _, l := range links {
		a := l.Attrs()
		if at == 0 || a.MasterIndex != at || l.Type() != "veth" || a.NetNsID < 0 {
			continue
		}
		p, err := addressIn(a.NetNsID, a.ParentIndex)
		if err != nil || p.IsValid() {
			return p.Masked(), err
		}
	}
	return netip.Prefix{}, nil
}

// addressIn is the first IPv4 address of an interface in another network namespace; zero for none.
func addressIn(space, index int) (p netip.Prefix, err error) {
	failed := func(err error) (netip.Prefix, error) {
		return netip.Prefix{}, fmt.Errorf("read the addresses of interface %d in the network namespace %d: %w", index, space, err)
	}
	socket, err := nl.GetNetlinkSocketAt(netns.None(), netns.None(), unix.NETLINK_ROUTE)
	if err != nil {
		return failed(err)
	}
	defer socket.Close()
	// Without this the kernel takes no notice of the namespace.
	if err := unix.SetsockoptInt(socket.GetFd(), unix.SOL_NETLINK, unix.NETLINK_GET_STRICT_CHK, 1); err != nil {
		return failed(err)
	}
	req := nl.NewNetlinkRequest(unix.RTM_GETADDR, unix.NLM_F_DUMP)
	req.Sockets = map[int]*nl.SocketHandle{unix.NETLINK_ROUTE: {Socket: socket}}
	msg := nl.NewIfAddrmsg(unix.AF_INET)
	msg.Index = uint32(index)
	req.AddData(msg)
	req.AddData(nl.NewRtAttr(unix.IFA_TARGET_NETNSID, nl.Uint32Attr(uint32(space))))
	answers, err := req.Execute(unix.NETLINK_ROUTE, unix.RTM_NEWADDR)
	if errors.Is(err, unix.ENODEV) {
		return netip.Prefix{}, nil // it has gone
	}
	if err != nil {
		return failed(err)
	}
	for _, b := range answers {
		if len(b) < unix.SizeofIfAddrmsg || nl.DeserializeIfAddrmsg(b).Index != uint32(index) {
			continue
		}
		if a, ok := netip.AddrFromSlice(nested(b[unix.SizeofIfAddrmsg:], unix.IFA_LOCAL)); ok {
			return netip.PrefixFrom(a, int(nl.DeserializeIfAddrmsg(b).Prefixlen)), nil
		}
	}
	return netip.Prefix{}, nil
}
