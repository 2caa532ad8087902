// Package arping asks a link by ARP who has an address, as RFC 5227 has it: from no address,
// so that nobody takes the question for news. It needs CAP_NET_RAW.
package arping

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"time"

	"github.com/mdlayher/arp"
	"github.com/mdlayher/ethernet"
	"github.com/mdlayher/packet"
)

// Ask returns the MAC addresses of those who say within a time that they have an IPv4
// address. This host's kernel does not hear the question.
func Ask(link string, a netip.Addr, within time.Duration) (owners []string, err error) {
	on, err := net.InterfaceByName(link)
	if err != nil {
		return nil, fmt.Errorf("find the interface %q: %w", link, err)
	}
	conn, err := packet.Listen(on, packet.Raw, int(ethernet.EtherTypeARP), nil)
	if err != nil {
		return nil, fmt.Errorf("open a socket for ARP on %s: %w", link, err)
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	if err := send(conn, on.HardwareAddr, a); err != nil {
		return nil, fmt.Errorf("ask on %s who has %s: %w", link, a, err)
	}
	if err := conn.SetReadDeadline(time.Now().Add(within)); err != nil {
		return nil, err
	}
	frame := make([]byte, 1<<11)
	for {
		n, _, err := conn.ReadFrom(frame)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return owners, nil
		}
		if err != nil {
			return owners, fmt.Errorf("read on %s who has %s: %w", link, a, err)
		}
		if mac, ok := owner(frame[:n], a); ok && !slices.Contains(owners, mac) {
			owners = append(owners, mac)
		}
	}
}

func send(conn *packet.Conn, own net.HardwareAddr, a netip.Addr) error {
	question, err := arp.NewPacket(arp.OperationRequest, own, netip.IPv4Unspecified(), make(net.HardwareAddr, 6), a)
	if err != nil {
		return err
	}
	payload, err := question.MarshalBinary()
	if err != nil {
		return err
	}
	frame, err := (&ethernet.Frame{Destination: ethernet.Broadcast, Source: own, EtherType: ethernet.EtherTypeARP, Payload: payload}).MarshalBinary()
	if err != nil {
		return err
	}
	_, err = conn.WriteTo(frame, &packet.Addr{HardwareAddr: ethernet.Broadcast})
	return err
}

// owner is who a frame says has an address.
func owner(frame []byte, a netip.Addr) (mac string, ok bool) {
	var f ethernet.Frame
	var p arp.Packet
	if f.UnmarshalBinary(frame) != nil || p.UnmarshalBinary(f.Payload) != nil || p.SenderIP != a {
		return "", false
	}
	return p.SenderHardwareAddr.String(), true
}
