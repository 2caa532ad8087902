package route

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// State is how far the kernel is with a neighbour (ip-neighbour(8)).
type State string

// The states. Unknown is that the kernel has no entry: it did not have to ask.
const (
	Unknown    State = "unknown"
	Incomplete State = "incomplete" // asked, no answer yet
	Failed     State = "failed"     // asked, never answered
	Reachable  State = "reachable"
	Stale      State = "stale" // answered once
	Delay      State = "delay"
	Probe      State = "probe" // asked again
	Permanent  State = "permanent"
	NoARP      State = "noarp" // nothing to ask
)

var states = map[int]State{
	unix.NUD_NONE: Unknown, unix.NUD_INCOMPLETE: Incomplete, unix.NUD_FAILED: Failed, unix.NUD_REACHABLE: Reachable, unix.NUD_STALE: Stale,
	unix.NUD_DELAY: Delay, unix.NUD_PROBE: Probe, unix.NUD_PERMANENT: Permanent, unix.NUD_NOARP: NoARP,
}

// Dead reports whether the neighbour does not answer.
func (s State) Dead() bool { return s == Failed || s == Incomplete }

// Neighbour is what the kernel knows of one on a link.
type Neighbour struct {
	Address   netip.Addr `json:"address"`
	Interface string     `json:"interface"`
	State     State      `json:"state"`
	MAC       string     `json:"mac,omitempty"`
}

// FindNeighbour looks a neighbour up. It sends nothing.
func FindNeighbour(name string, address netip.Addr) (Neighbour, error) {
	n := Neighbour{Address: address, Interface: name, State: Unknown}
	i, err := net.InterfaceByName(name)
	if err != nil {
		return n, fmt.Errorf("find interface %q: %w", name, err)
	}
	family := netlink.FAMILY_V4
	if address.Is6() {
		family = netlink.FAMILY_V6
	}
	list, err := netlink.NeighList(i.Index, family)
	if err != nil {
		return n, fmt.Errorf("list the neighbours on %s: %w", name, err)
	}
	want := address.AsSlice()
	for _, e := range list {
		ip := e.IP
		if four := ip.To4(); four != nil && address.Is4() {
			ip = four
		}
		if !bytes.Equal(ip, want) {
			continue
		}
		state, ok := states[e.State]
		if !ok {
			return n, fmt.Errorf("read the state of neighbour %v on %s: unknown state %#x", address, name, e.State)
		}
		n.State = state
		if e.HardwareAddr != nil {
			n.MAC = e.HardwareAddr.String()
		}
	}
	return n, nil
}
