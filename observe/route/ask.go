package route

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"

	mdnetlink "github.com/mdlayher/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// The kinds of routes by their numbers (rtnetlink.h).
var kinds = map[uint8]Kind{
	unix.RTN_UNICAST: Unicast, unix.RTN_LOCAL: Local, unix.RTN_BROADCAST: Broadcast, unix.RTN_ANYCAST: Local,
	unix.RTN_MULTICAST: Multicast, unix.RTN_BLACKHOLE: Blackhole, unix.RTN_UNREACHABLE: Unreachable, unix.RTN_PROHIBIT: Prohibit,
}

// ask puts RTM_GETROUTE. netlink.RouteGetWithOptions knows no protocol and ports,
// which policy rules may select by.
func ask(d *Decision) error {
	p := d.Packet
	source, destination := p.Tuple.Source, p.Tuple.Destination
	req := nl.NewNetlinkRequest(unix.RTM_GETROUTE, unix.NLM_F_REQUEST)
	msg := &nl.RtMsg{RtMsg: unix.RtMsg{Family: unix.AF_INET, Dst_len: uint8(destination.Addr().BitLen()), Flags: unix.RTM_F_LOOKUP_TABLE}}
	if destination.Addr().Is6() {
		msg.Family = unix.AF_INET6
	}
	attrs := []*nl.RtAttr{nl.NewRtAttr(unix.RTA_DST, destination.Addr().AsSlice())}
	if source.Addr().IsValid() {
		msg.Src_len = uint8(source.Addr().BitLen())
		attrs = append(attrs, nl.NewRtAttr(unix.RTA_SRC, source.Addr().AsSlice()))
	}
	if p.Input != "" {
		i, err := net.InterfaceByName(p.Input)
		if err != nil {
			return fmt.Errorf("find interface %q: %w", p.Input, err)
		}
		attrs = append(attrs, nl.NewRtAttr(unix.RTA_IIF, nl.Uint32Attr(uint32(i.Index))))
	}
	if p.Mark != 0 {
		attrs = append(attrs, nl.NewRtAttr(unix.RTA_MARK, nl.Uint32Attr(p.Mark)))
	}
	if p.UID != nil {
		attrs = append(attrs, nl.NewRtAttr(unix.RTA_UID, nl.Uint32Attr(*p.UID)))
	}
	attrs = append(attrs, ports(p)...)
	req.AddData(msg)
	for _, a := range attrs {
		req.AddData(a)
	}
	messages, err := req.Execute(unix.NETLINK_ROUTE, unix.RTM_NEWROUTE)
	if err != nil {
		return err
	}
	if len(messages) != 1 {
		return fmt.Errorf("the kernel gives %d routes instead of one", len(messages))
	}
	if err := d.decode(messages[0]); err != nil {
		return err
	}
	return d.nameInterface()
}

func ports(p Packet) []*nl.RtAttr {
	if !p.Tuple.Protocol.HasPorts() {
		return nil
	}
	attrs := []*nl.RtAttr{nl.NewRtAttr(unix.RTA_IP_PROTO, []byte{byte(p.Tuple.Protocol)})}
	for _, end := range []struct {
		attr int
		port uint16
	}{{unix.RTA_SPORT, p.Tuple.Source.Port()}, {unix.RTA_DPORT, p.Tuple.Destination.Port()}} {
		if end.port != 0 {
			attrs = append(attrs, nl.NewRtAttr(end.attr, binary.BigEndian.AppendUint16(nil, end.port)))
		}
	}
	return attrs
}

// decode reads a route message of the kernel.
func (d *Decision) decode(b []byte) error {
	if len(b) < unix.SizeofRtMsg {
		return fmt.Errorf("read a route of the kernel: %d bytes", len(b))
	}
	msg := nl.DeserializeRtMsg(b)
	kind, ok := kinds[msg.Type]
	if !ok {
		return fmt.Errorf("read a route of the kernel: unknown type %d", msg.Type)
	}
	attrs, err := mdnetlink.UnmarshalAttributes(b[unix.SizeofRtMsg:])
	if err != nil {
		return fmt.Errorf("read a route of the kernel: %w", err)
	}
	d.Kind, d.Table = kind, int(msg.Table)
	for _, a := range attrs {
		switch a.Type {
		case unix.RTA_TABLE:
			d.Table = number(a.Data)
		case unix.RTA_OIF:
			d.Index = number(a.Data)
		case unix.RTA_GATEWAY:
			d.Gateway, _ = netip.AddrFromSlice(a.Data)
		case unix.RTA_VIA: // a gateway of the other family, behind its own number
			if len(a.Data) > 2 {
				d.Gateway, _ = netip.AddrFromSlice(a.Data[2:])
			}
		case unix.RTA_PREFSRC:
			d.Source, _ = netip.AddrFromSlice(a.Data)
		case unix.RTA_METRICS:
			d.MTU = mtu(a.Data)
		}
	}
	// Without rules of one's own the kernel keeps both tables in one, and tells either.
	if d.Table == unix.RT_TABLE_MAIN && (d.Kind == Local || d.Kind == Broadcast) {
		d.Table = unix.RT_TABLE_LOCAL
	}
	return nil
}

func number(b []byte) int {
	if len(b) < 4 {
		return 0
	}
	return int(nl.NativeEndian().Uint32(b))
}

// mtu reads the one metric of a route that matters here.
func mtu(b []byte) int {
	metrics, err := mdnetlink.UnmarshalAttributes(b)
	if err != nil {
		return 0
	}
	for _, m := range metrics {
		if m.Type == unix.RTAX_MTU {
			return number(m.Data)
		}
	}
	return 0
}

func (d *Decision) nameInterface() error {
	if d.Index == 0 {
		return nil
	}
	i, err := net.InterfaceByIndex(d.Index)
	if err != nil {
		return fmt.Errorf("find interface %d, which the kernel routes by: %w", d.Index, err)
	}
	d.Interface = i.Name
	return nil
}
