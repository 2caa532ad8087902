// Package observetest lays a small network for tests: a guest on a bridge, the
// router that the bridge is in, and a site behind the router's uplink, with IPv4
// and IPv6. The router is the test's own process: see nettest.Isolated.
package observetest

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// The router's interfaces: the bridge with the guest's port, and the uplink.
const (
	Bridge = "br0"
	Port   = "port0"
	Uplink = "up0"
	NIC    = "eth0" // in the guest and at the site
)

// The addresses.
var (
	Guest   = netip.MustParseAddr("10.91.3.5")
	Gateway = netip.MustParseAddr("10.91.3.1")
	Outside = netip.MustParseAddr("198.51.100.1") // the router's, on the uplink
	Site    = netip.MustParseAddr("198.51.100.2")

	Guest6   = netip.MustParseAddr("fd00:91:3::5")
	Gateway6 = netip.MustParseAddr("fd00:91:3::1")
	Outside6 = netip.MustParseAddr("2001:db8:100::1")
	Site6    = netip.MustParseAddr("2001:db8:100::2")
)

// Place is a network namespace, and what changes its links, addresses and routes.
type Place struct {
	*netlink.Handle
	ns netns.NsHandle
}

// Network is the router with its guest and its site. All forwards as it should.
type Network struct {
	Router, Guest, Site *Place
}

// New lays the network.
func New(t *testing.T) *Network {
	t.Helper()
	n := &Network{Router: here(t), Guest: place(t), Site: place(t)}
	require.NoError(t, n.Router.LinkAdd(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: Bridge}}))
	n.wire(t, Port, n.Guest)
	n.wire(t, Uplink, n.Site)
	bridge := n.Router.Link(t, Bridge)
	require.NoError(t, n.Router.LinkSetMaster(n.Router.Link(t, Port), bridge))
	n.Router.Up(t, Bridge)
	for _, a := range []struct {
		at      *Place
		link    string
		address netip.Addr
	}{
		{n.Router, Bridge, Gateway}, {n.Router, Bridge, Gateway6}, {n.Guest, NIC, Guest}, {n.Guest, NIC, Guest6},
		{n.Router, Uplink, Outside}, {n.Router, Uplink, Outside6}, {n.Site, NIC, Site}, {n.Site, NIC, Site6},
	} {
		a.at.Address(t, a.link, a.address)
	}
	for _, r := range []struct {
		at *Place
		by netip.Addr
	}{{n.Guest, Gateway}, {n.Guest, Gateway6}, {n.Site, Outside}, {n.Site, Outside6}} {
		r.at.Route(t, NIC, "", r.by)
	}
	n.Router.Set(t, "net/ipv4/ip_forward", "1")
	n.Router.Set(t, "net/ipv6/conf/all/forwarding", "1")
	n.settle(t)
	return n
}

// settle waits until both ends answer: neighbours are known then.
func (n *Network) settle(t *testing.T) {
	t.Helper()
	for _, to := range []netip.Addr{Gateway, Gateway6, Site, Site6} {
		require.Eventually(t, func() bool {
			return errors.Is(n.Guest.Dial(t, "tcp", to, 1, time.Second), syscall.ECONNREFUSED)
		}, 10*time.Second, 10*time.Millisecond, "%s never answered the guest", to)
	}
}

func here(t *testing.T) *Place {
	t.Helper()
	ns, err := netns.Get()
	require.NoError(t, err)
	return at(t, ns)
}

// place makes a namespace, with its loopback up.
func place(t *testing.T) *Place {
	t.Helper()
	var made netns.NsHandle
	inThread(t, func() {
		back, err := netns.Get()
		require.NoError(t, err)
		made, err = netns.New()
		require.NoError(t, err)
		require.NoError(t, netns.Set(back))
		require.NoError(t, back.Close())
	})
	p := at(t, made)
	p.Up(t, "lo")
	return p
}

func at(t *testing.T, ns netns.NsHandle) *Place {
	t.Helper()
	h, err := netlink.NewHandleAt(ns)
	require.NoError(t, err)
	return &Place{Handle: h, ns: ns}
}

// wire connects an interface of the router with the NIC of a place.
func (n *Network) wire(t *testing.T, name string, to *Place) {
	t.Helper()
	require.NoError(t, n.Router.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: name}, PeerName: NIC, PeerNamespace: netlink.NsFd(to.ns)}))
	n.Router.Up(t, name)
	to.Up(t, NIC)
}

func inThread(t *testing.T, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		f()
	}()
	<-done
}

// Do runs f on a thread in the place: a socket that it opens stays there.
func (p *Place) Do(t *testing.T, f func()) {
	t.Helper()
	inThread(t, func() {
		back, err := netns.Get()
		require.NoError(t, err)
		require.NoError(t, netns.Set(p.ns))
		f()
		require.NoError(t, netns.Set(back))
		require.NoError(t, back.Close())
	})
}

// FD returns the namespace's file descriptor.
func (p *Place) FD() int { return int(p.ns) }

// Inode returns the namespace's inode, by which the kernel names it.
func (p *Place) Inode(t *testing.T) uint32 {
	t.Helper()
	var s unix.Stat_t
	require.NoError(t, unix.Fstat(p.FD(), &s))
	return uint32(s.Ino)
}

// Link returns a link of the place.
func (p *Place) Link(t *testing.T, name string) netlink.Link {
	t.Helper()
	l, err := p.LinkByName(name)
	require.NoError(t, err)
	return l
}

// Up sets a link up.
func (p *Place) Up(t *testing.T, name string) {
	t.Helper()
	require.NoError(t, p.LinkSetUp(p.Link(t, name)))
}

// Address puts an address on a link, with the network of a /24 or a /64.
func (p *Place) Address(t *testing.T, link string, a netip.Addr) {
	t.Helper()
	n := &net.IPNet{IP: a.AsSlice(), Mask: net.CIDRMask(24, 32)}
	if a.Is6() {
		n.Mask = net.CIDRMask(64, 128)
	}
	// Without duplicate address detection, which takes a second.
	require.NoError(t, p.AddrAdd(p.Link(t, link), &netlink.Addr{IPNet: n, Flags: unix.IFA_F_NODAD}))
}

// Route adds a route by a gateway, until the test's end; an empty network is the default.
func (p *Place) Route(t *testing.T, link, network string, by netip.Addr) {
	t.Helper()
	p.Add(t, network, netlink.Route{LinkIndex: p.Link(t, link).Attrs().Index, Gw: by.AsSlice()})
}

// Add adds a route of any kind to a network, until the test's end.
func (p *Place) Add(t *testing.T, network string, r netlink.Route) {
	t.Helper()
	if network != "" {
		var err error
		r.Dst, err = netlink.ParseIPNet(network)
		require.NoError(t, err)
	}
	require.NoError(t, p.RouteAdd(&r))
	t.Cleanup(func() { require.NoError(t, p.RouteDel(&r)) })
}

// Dial opens a connection to an address and returns what came of it. For UDP a
// datagram is sent and an answer read.
func (p *Place) Dial(t *testing.T, network string, to netip.Addr, port uint16, timeout time.Duration) error {
	t.Helper()
	var result error
	p.Do(t, func() {
		dialer := net.Dialer{Timeout: timeout}
		conn, err := dialer.DialContext(context.WithoutCancel(t.Context()), network, netip.AddrPortFrom(to, port).String())
		if err != nil {
			result = err
			return
		}
		if network == "udp" {
			result = ask(conn, timeout)
		}
		require.NoError(t, conn.Close())
	})
	return result
}

// Send sends a datagram of so many bytes that must not be fragmented.
func (p *Place) Send(t *testing.T, to netip.Addr, port uint16, size int) {
	t.Helper()
	p.Do(t, func() {
		dialer := net.Dialer{Control: func(network, _ string, c syscall.RawConn) error {
			level, option, value := unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_DO
			if network == "udp6" {
				level, option, value = unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, unix.IPV6_PMTUDISC_DO
			}
			var set error
			err := c.Control(func(fd uintptr) { set = unix.SetsockoptInt(int(fd), level, option, value) })
			return errors.Join(err, set)
		}}
		conn, err := dialer.DialContext(context.WithoutCancel(t.Context()), "udp", netip.AddrPortFrom(to, port).String())
		require.NoError(t, err)
		_, err = conn.Write(make([]byte, size))
		require.NoError(t, err)
		require.NoError(t, conn.Close())
	})
}

// Say sends a datagram, which nothing has to answer; to everybody on the link too.
func (p *Place) Say(t *testing.T, to netip.AddrPort) {
	t.Helper()
	p.Do(t, func() {
		conn, err := net.Dial("udp", to.String())
		require.NoError(t, err)
		_, err = conn.Write([]byte("?"))
		require.NoError(t, err)
		require.NoError(t, conn.Close())
	})
}

func ask(conn net.Conn, timeout time.Duration) error {
	if err := conn.SetDeadline(time.Now().Add(timeout)); err != nil {
		return err
	}
	if _, err := conn.Write([]byte("?")); err != nil {
		return err
	}
	_, err := conn.Read(make([]byte, 64))
	return err
}

// Set writes a sysctl of the place, by its path below /proc/sys, until the test's end.
func (p *Place) Set(t *testing.T, path, value string) {
	t.Helper()
	path = filepath.Join("/proc/sys", path)
	write := func(value []byte) {
		require.NoError(t, os.WriteFile(path, value, 0o644))
	}
	// The kernel shows each thread the sysctls of its own namespace.
	p.Do(t, func() {
		before, err := os.ReadFile(path)
		require.NoError(t, err)
		write([]byte(value))
		t.Cleanup(func() { p.Do(t, func() { write(before) }) })
	})
}
