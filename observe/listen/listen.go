// Package listen tells who listens where: TCP and UDP sockets by sock_diag, raw
// and packet sockets, which DHCP servers use, by /proc/net, and the processes that
// have them open. It looks into the network namespace that it is called in, and
// at the processes that /proc shows.
package listen

import (
	"cmp"
	"errors"
	"net/netip"
	"slices"

	"github.com/nestlab/nestlab/observe"
)

// Source names these sightings where they are unavailable.
const Source = "listeners"

// maxSockets bounds how many sockets are told.
const maxSockets = 4096

// Well-known ports of what nested environments need.
const (
	DNS       = 53
	DHCP      = 67
	DHCPv6    = 547
	Docker    = 2375
	DockerTLS = 2376
)

// Process has a socket open.
type Process struct {
	PID     int      `json:"pid"`
	Name    string   `json:"name"`              // as in /proc/PID/comm
	Command []string `json:"command,omitempty"` // its arguments; the first 4096 bytes of them
	// Stopped is set where a signal, or whoever traces it, has stopped it: it takes nothing.
	Stopped bool `json:"stopped,omitempty"`
	// Options are those of dnsmasq that decide what it gives, from its arguments and files.
	Options []string `json:"options,omitempty"`
	// Servers are those that dnsmasq asks for any name; ServersRead is set where all were read.
	Servers     []netip.AddrPort `json:"servers,omitempty"`
	ServersRead bool             `json:"servers_read,omitempty"`
	// Pools are the ranges of addresses that dnsmasq gives out.
	Pools []Pool `json:"pools,omitempty"`
}

// Socket is a TCP socket that listens, or a UDP socket without a peer.
type Socket struct {
	Protocol observe.Protocol `json:"protocol"`
	Address  netip.AddrPort   `json:"address"`
	// Device is the interface that the socket is bound to.
	Device string `json:"device,omitempty"`
	// OnlyIPv6 is of an IPv6 wildcard socket that does not take IPv4.
	OnlyIPv6  bool      `json:"only_ipv6,omitempty"`
	Inode     uint32    `json:"inode"`
	UID       uint32    `json:"uid"`
	Processes []Process `json:"processes,omitempty"`
}

// Takes reports whether a packet to an address that comes in by an interface goes
// to the socket, if no other is a better match.
func (s Socket) Takes(protocol observe.Protocol, to netip.AddrPort, input string) bool {
	own := s.Address.Addr()
	if s.Protocol != protocol || s.Address.Port() != to.Port() || s.Device != "" && s.Device != input {
		return false
	}
	if !own.IsUnspecified() {
		return own == to.Addr().Unmap()
	}
	return own.Is6() == to.Addr().Is6() || own.Is6() && !s.OnlyIPv6
}

// Packet is a socket for whole packets, below IP or beside its protocols.
type Packet struct {
	// Protocol is the IP protocol of a raw socket, and zero for a packet socket.
	Protocol observe.Protocol `json:"protocol,omitempty"`
	// EtherType is of a packet socket: 3 for all, 0x800 for IPv4.
	EtherType uint16 `json:"ether_type,omitempty"`
	// Device is the interface of a packet socket; empty for all.
	Device    string    `json:"device,omitempty"`
	Inode     uint32    `json:"inode"`
	UID       uint32    `json:"uid"`
	Processes []Process `json:"processes,omitempty"`
}

// Report is who listens.
type Report struct {
	Sockets []Socket `json:"sockets"`
	Packets []Packet `json:"packets,omitempty"`
	// Missing says what could not be seen: sockets of a kind, or processes.
	Missing []*observe.Unavailable `json:"missing,omitempty"`
}

// On returns the sockets that take a packet, the most specific first.
func (r Report) On(protocol observe.Protocol, to netip.AddrPort, input string) []Socket {
	var found []Socket
	for _, s := range r.Sockets {
		if s.Takes(protocol, to, input) {
			found = append(found, s)
		}
	}
	slices.SortStableFunc(found, func(a, b Socket) int { return cmp.Compare(b.rank(), a.rank()) })
	return found
}

func (s Socket) rank() int {
	n := 0
	if !s.Address.Addr().IsUnspecified() {
		n += 2
	}
	if s.Device != "" {
		n++
	}
	return n
}

// Read tells who listens on ports, on all without any. Raw and packet sockets have
// no port and are always told.
func Read(ports ...uint16) (Report, error) {
	names, err := deviceNames()
	if err != nil {
		return Report{}, err
	}
	var r Report
	var errs []error
	note := func(err error) {
		var u *observe.Unavailable
		if errors.As(err, &u) {
			r.Missing = append(r.Missing, u)
			return
		}
		errs = append(errs, err)
	}
	for _, protocol := range []observe.Protocol{observe.TCP, observe.UDP} {
		sockets, err := diagnose(protocol, ports, names)
		note(err)
		r.Sockets = append(r.Sockets, sockets...)
	}
	r.Packets, err = packetSockets(names)
	note(err)
	if len(r.Sockets) > maxSockets {
		note(unavailable("more than 4096 sockets: the others are not told", nil))
		r.Sockets = r.Sockets[:maxSockets]
	}
	note(r.findProcesses())
	return r, errors.Join(errs...)
}

func unavailable(why string, err error) error {
	return &observe.Unavailable{Source: Source, Why: why, Err: err}
}
