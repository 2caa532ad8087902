// Package standin has a throwaway network namespace stand in for a guest of a bridge: for
// the host it is one in all that matters, and it is there in a fraction of a second. It is
// held by this process alone: when that ends, by whatever, the kernel removes both.
package standin

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/nestlab/nestlab/host/networks"
	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/session"
)

// own begins the hardware addresses of ports of stand-ins.
var own = net.HardwareAddr{0xfe, 0xff, 0xff}

// nic is the name of the interface that a stand-in has.
const nic = "eth0"

// StandIn is a guest of a network that has nothing but an interface.
type StandIn struct {
	Network networks.Network
	// Resolvers are the host's own, for guests of a network that names none.
	Resolvers []netip.Addr
	// Dir takes the guest's resolv.conf.
	Dir string

	space   netns.NsHandle
	port    string
	address func() error // waits until it has what a guest gets
	giveUp  context.CancelFunc
	heard   *hearing // nil where it asked no DHCP server
}

// Address is what a guest of the network gets.
type Address struct {
	Prefixes  []netip.Prefix
	Gateways  []netip.Addr
	Resolvers []netip.Addr
	// Routes are those that a DHCP server gave.
	Routes []Route
}

// Place implements session.Environment.
func (s *StandIn) Place() model.Place {
	return model.Place{Environment: model.EnvBridge, Name: s.Network.Bridge}
}

// Suites implements session.Environment.
func (s *StandIn) Suites() []string { return []string{model.SuiteNetwork} }

// Start implements session.Environment.
func (s *StandIn) Start(ctx context.Context, took session.Took) error {
	begin := time.Now()
	if !s.Network.Up {
		return session.Inapplicable{Why: fmt.Sprintf("the bridge %s is down", s.Network.Bridge)}
	}
	if s.Network.Isolated {
		return session.Inapplicable{Why: fmt.Sprintf("%s leads nowhere by its own configuration", s.Network)}
	}
	if err := s.attach(ctx); err != nil {
		return err
	}
	ctx, s.giveUp = context.WithCancel(ctx)
	got := make(chan error, 1)
	go func() { got <- s.configure(ctx) }()
	s.address = sync.OnceValue(func() error { return <-got })
	// A DHCP server may take seconds: meanwhile others are probed, unless guests of the
	// network may have no address that can be told, which leaves it out.
	if _, has := s.Network.Address(true); !has || s.Network.Uplink || !s.Network.DHCP {
		if err := s.address(); err != nil {
			return err
		}
	}
	took(model.StepStart, begin, time.Since(begin), "")
	return nil
}

// Restart implements session.Restarter: it asks for an address again.
func (s *StandIn) Restart(ctx context.Context) error {
	if err := s.Stop(ctx); err != nil {
		return err
	}
	return s.Start(ctx, func(string, time.Time, time.Duration, string) {})
}

// attach makes the namespace, and an interface in it that is a port of the bridge.
func (s *StandIn) attach(ctx context.Context) error {
	bridge, err := netlink.LinkByName(s.Network.Bridge)
	if err != nil {
		return fmt.Errorf("find the bridge %s: %w", s.Network.Bridge, err)
	}
	if s.space, err = newNamespace(); err != nil {
		return err
	}
	s.port = port(bridge.Attrs().Index, os.Getpid())
	veth := &netlink.Veth{
		LinkAttrs: netlink.LinkAttrs{
			Name: s.port, MTU: s.Network.MTU, MasterIndex: bridge.Attrs().Index,
			// A bridge takes the lowest address of its ports for its own: never this one.
			HardwareAddr: append(slices.Clone(own), byte(os.Getpid()>>8), byte(os.Getpid()), byte(bridge.Attrs().Index)),
		},
		PeerName: nic, PeerNamespace: netlink.NsFd(s.space), PeerMTU: uint32(s.Network.MTU),
	}
	if err := netlink.LinkAdd(veth); err != nil {
		return fmt.Errorf("attach a stand-in to the bridge %s: %w", s.Network.Bridge, err)
	}
	if err := netlink.LinkSetUp(veth); err != nil {
		return fmt.Errorf("set the port %s of %s up: %w", s.port, s.Network.Bridge, err)
	}
	if err := s.inside(func(h *netlink.Handle) error { return setUp(h, "lo", nic) }); err != nil {
		return err
	}
	return forwarding(ctx, s.port)
}

// port names the port of a bridge that a process has: 15 letters at most.
func port(bridge, pid int) string { return fmt.Sprintf("nl%06x%x", pid&0xffffff, bridge&0xfffffff) }

func setUp(h *netlink.Handle, names ...string) error {
	for _, name := range names {
		l, err := h.LinkByName(name)
		if err == nil {
			err = h.LinkSetUp(l)
		}
		if err != nil {
			return fmt.Errorf("set %s of a stand-in up: %w", name, err)
		}
	}
	return nil
}

// inside does something with the namespace's netlink.
func (s *StandIn) inside(do func(*netlink.Handle) error) error {
	h, err := netlink.NewHandleAt(s.space)
	if err != nil {
		return fmt.Errorf("open the namespace of a stand-in: %w", err)
	}
	defer h.Close()
	return do(h)
}

// configure gives it what a guest gets.
func (s *StandIn) configure(ctx context.Context) error {
	address, err := s.find(ctx)
	if err != nil {
		return err
	}
	if err := s.inside(address.set); err != nil {
		return err
	}
	var text strings.Builder
	for _, r := range address.Resolvers {
		fmt.Fprintf(&text, "nameserver %s\n", r)
	}
	if err := os.WriteFile(s.resolvConf(), []byte(text.String()), 0o644); err != nil {
		return fmt.Errorf("write the resolvers of a stand-in: %w", err)
	}
	return nil
}

func (s *StandIn) resolvConf() string {
	return filepath.Join(cmp.Or(s.Dir, os.TempDir()), "resolv."+s.Network.Bridge)
}

// set gives the interface its addresses and routes.
func (a Address) set(h *netlink.Handle) error {
	l, err := h.LinkByName(nic)
	if err != nil {
		return fmt.Errorf("find the interface of a stand-in: %w", err)
	}
	for _, p := range a.Prefixes {
		address := &netlink.Addr{IPNet: network(p)}
		if p.Addr().Is6() {
			address.Flags = ifaNoDAD
		}
		if err := h.AddrAdd(l, address); err != nil {
			return fmt.Errorf("give a stand-in the address %s: %w", p, err)
		}
	}
	for _, g := range a.Gateways {
		if err := h.RouteAdd(&netlink.Route{LinkIndex: l.Attrs().Index, Gw: g.AsSlice()}); err != nil {
			return fmt.Errorf("route a stand-in's packets by %s: %w", g, err)
		}
	}
	for _, r := range a.Routes {
		if err := a.add(h, l.Attrs().Index, r); err != nil {
			return fmt.Errorf("route a stand-in's packets for %s by %s: %w", r.To, r.Via, err)
		}
	}
	return nil
}

func network(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

// Stop implements session.Environment: the bridge is as it was.
func (s *StandIn) Stop(context.Context) error {
	if s.port == "" {
		return nil
	}
	var errs []error
	if s.giveUp != nil {
		s.giveUp()
		_ = s.address() // why it has none is known to who has waited for it
		if s.heard != nil {
			<-s.heard.over
		}
	}
	errs = append(errs, remove(s.port))
	if s.space.IsOpen() {
		errs = append(errs, s.space.Close())
	}
	errs = append(errs, Restore(s.Network), os.RemoveAll(s.resolvConf()))
	s.port, s.giveUp, s.heard = "", nil, nil
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("remove the stand-in from %s: %w", s.Network.Bridge, err)
	}
	return nil
}

// remove removes a port; one that went with its namespace is none.
func remove(port string) error {
	missing := netlink.LinkNotFoundError{}
	l, err := netlink.LinkByName(port)
	if err == nil {
		err = netlink.LinkDel(l)
	}
	if err != nil && !errors.As(err, &missing) && !errors.Is(err, unix.ENODEV) {
		return fmt.Errorf("remove the port %s: %w", port, err)
	}
	return nil
}

// Clear removes what a killed process left on a bridge, for which the kernel takes its time.
func Clear(n networks.Network, pid int) error {
	l, err := netlink.LinkByName(n.Bridge)
	if err != nil {
		return nil // it went with its program, and all of it
	}
	return errors.Join(remove(port(l.Attrs().Index, pid)), Restore(n))
}

// Restore gives a bridge that had no port, and has none, its hardware address back, which
// the kernel takes from ports unless it was given one. What its first port of all leaves is
// the kernel's: an address of the link, which no later port would bring again.
func Restore(n networks.Network) error {
	l, err := netlink.LinkByName(n.Bridge)
	if missing := (netlink.LinkNotFoundError{}); errors.As(err, &missing) {
		return nil // it went with its program
	}
	if err != nil {
		return fmt.Errorf("find the bridge %s: %w", n.Bridge, err)
	}
	mac, err := net.ParseMAC(n.MAC)
	if err != nil || len(n.Ports) > 0 || bytes.HasPrefix(mac, own) || !bytes.Equal(l.Attrs().HardwareAddr, make([]byte, len(mac))) {
		return nil
	}
	links, err := netlink.LinkList()
	if err != nil {
		return fmt.Errorf("list interfaces: %w", err)
	}
	if slices.ContainsFunc(links, func(p netlink.Link) bool { return p.Attrs().MasterIndex == l.Attrs().Index }) {
		return nil
	}
	if err := netlink.LinkSetHardwareAddr(l, mac); err != nil {
		return fmt.Errorf("give %s its hardware address back: %w", n.Bridge, err)
	}
	return nil
}
