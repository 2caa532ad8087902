package listen

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/nestlab/nestlab/observe"
)

// Numbers of linux/sock_diag.h and inet_diag.h.
const (
	sockDiagByFamily = 20
	attrOnlyIPv6     = 11 // INET_DIAG_SKV6ONLY
	requestSize      = 56
	messageSize      = 72
	stateClosed      = 7 // a UDP socket without a peer
	stateListening   = 10
)

// diagnose lists the sockets of a protocol that take packets from anybody.
func diagnose(protocol observe.Protocol, ports []uint16, names map[uint32]string) ([]Socket, error) {
	conn, err := netlink.Dial(unix.NETLINK_SOCK_DIAG, nil)
	if err != nil {
		return nil, unavailable("sock_diag cannot be asked", err)
	}
	var all []Socket
	for _, family := range []byte{unix.AF_INET, unix.AF_INET6} {
		messages, err := conn.Execute(netlink.Message{
			Header: netlink.Header{Type: sockDiagByFamily, Flags: netlink.Request | netlink.Dump},
			Data:   request(family, protocol),
		})
		if err != nil {
			err = unavailable(fmt.Sprintf("the kernel does not list %v sockets (module %v_diag)", protocol, protocol), err)
			return all, errors.Join(err, conn.Close())
		}
		for _, m := range messages {
			s, err := parse(m.Data, protocol, names)
			if err != nil {
				return all, errors.Join(err, conn.Close())
			}
			if len(ports) == 0 || slices.Contains(ports, s.Address.Port()) {
				all = append(all, s)
			}
		}
	}
	if err := conn.Close(); err != nil {
		return all, fmt.Errorf("close the socket of sock_diag: %w", err)
	}
	return all, nil
}

// request asks for sockets in the states that listen (struct inet_diag_req_v2).
func request(family byte, protocol observe.Protocol) []byte {
	b := make([]byte, requestSize)
	b[0], b[1] = family, byte(protocol)
	state := stateListening
	if protocol == observe.UDP {
		state = stateClosed
	}
	binary.NativeEndian.PutUint32(b[4:], 1<<state)
	return b
}

// parse reads one socket (struct inet_diag_msg).
func parse(b []byte, protocol observe.Protocol, names map[uint32]string) (Socket, error) {
	if len(b) < messageSize {
		return Socket{}, fmt.Errorf("read a %v socket of sock_diag: %d bytes instead of %d", protocol, len(b), messageSize)
	}
	var address netip.Addr
	switch b[0] {
	case unix.AF_INET:
		address = netip.AddrFrom4([4]byte(b[8:12]))
	case unix.AF_INET6:
		address = netip.AddrFrom16([16]byte(b[8:24])).Unmap()
	default:
		return Socket{}, fmt.Errorf("read a %v socket of sock_diag: unknown family %d", protocol, b[0])
	}
	order := binary.NativeEndian
	s := Socket{
		Protocol: protocol, Address: netip.AddrPortFrom(address, binary.BigEndian.Uint16(b[4:])),
		Device: names[order.Uint32(b[40:])], UID: order.Uint32(b[64:]), Inode: order.Uint32(b[68:]),
	}
	if index := order.Uint32(b[40:]); index != 0 && s.Device == "" {
		s.Device = fmt.Sprintf("if%d", index) // gone meanwhile
	}
	attrs, err := netlink.UnmarshalAttributes(b[messageSize:])
	if err != nil {
		return Socket{}, fmt.Errorf("read a %v socket of sock_diag: %w", protocol, err)
	}
	for _, a := range attrs {
		if a.Type == attrOnlyIPv6 && len(a.Data) > 0 {
			s.OnlyIPv6 = a.Data[0] != 0
		}
	}
	return s, nil
}

func deviceNames() (map[uint32]string, error) {
	list, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("list the interfaces: %w", err)
	}
	names := map[uint32]string{}
	for _, i := range list {
		names[uint32(i.Index)] = i.Name
	}
	return names, nil
}
