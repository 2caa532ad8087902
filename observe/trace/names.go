package trace

import (
	"fmt"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// names knows the interfaces of the network namespace that the trace began in.
type names struct {
	handle *netlink.Handle
	known  map[uint32]string
	ports  map[string][]string
}

func newNames() (*names, error) {
	handle, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("open netlink: %w", err)
	}
	links, err := handle.LinkList()
	if err != nil {
		handle.Close()
		return nil, fmt.Errorf("list interfaces: %w", err)
	}
	n := &names{handle: handle, known: map[uint32]string{}, ports: map[string][]string{}}
	for _, l := range links {
		n.known[uint32(l.Attrs().Index)] = l.Attrs().Name
	}
	for _, l := range links {
		if master := l.Attrs().MasterIndex; master != 0 {
			bridge := n.known[uint32(master)]
			n.ports[bridge] = append(n.ports[bridge], l.Attrs().Name)
		}
	}
	return n, nil
}

// bridges returns the ports that each bridge has now.
func (n *names) bridges() map[string][]string { return n.ports }

// name fills in an interface's name, which it may have got since; nil stays nil.
func (n *names) name(i *Interface) *Interface {
	if i == nil {
		return nil
	}
	name, ok := n.known[i.Index]
	if !ok && n.handle != nil {
		// An interface that is gone has no name: the index tells all there is.
		if l, err := n.handle.LinkByIndex(int(i.Index)); err == nil {
			name = l.Attrs().Name
		}
		n.known[i.Index] = name
	}
	i.Name = name
	return i
}

func (n *names) close() {
	if n.handle != nil {
		n.handle.Close()
		n.handle = nil
	}
}
