package trace_test

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/nestlab/nestlab/observe"
	"github.com/nestlab/nestlab/testbed/nettest"
)

// The lab: a guest on a bridge of a router, which is this process' namespace, and an
// upstream network with a server on port 80.
const (
	guestIP, bridgeIP      = "10.77.0.2", "10.77.0.1"
	uplinkIP, upstreamIP   = "198.51.100.1", "198.51.100.2"
	guestIP6, bridgeIP6    = "fd77::2", "fd77::1"
	uplinkIP6, upstreamIP6 = "2001:db8::1", "2001:db8::2"
)

type lab struct{ guest, upstream place }

// place is a network namespace.
type place struct {
	ns     netns.NsHandle
	handle *netlink.Handle
}

// newLab makes the lab. The bridge hands its frames to iptables, as with Docker's
// br_netfilter, or not.
func newLab(t testing.TB, netfilter bool) *lab {
	t.Helper()
	l := &lab{guest: newPlace(t), upstream: newPlace(t)}
	require.NoError(t, netlink.LinkAdd(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "br0"}}))
	for name, p := range map[string]place{"g0": l.guest, "u0": l.upstream} {
		require.NoError(t, netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: name}, PeerName: "eth0", PeerNamespace: netlink.NsFd(p.ns)}))
	}
	here, err := netlink.NewHandle()
	require.NoError(t, err)
	t.Cleanup(here.Close)
	require.NoError(t, here.LinkSetMaster(find(t, here, "g0"), find(t, here, "br0")))
	set(t, here, "g0")
	set(t, here, "br0", bridgeIP+"/24", bridgeIP6+"/64")
	set(t, here, "u0", uplinkIP+"/24", uplinkIP6+"/64")
	set(t, l.guest.handle, "eth0", guestIP+"/24", guestIP6+"/64")
	set(t, l.upstream.handle, "eth0", upstreamIP+"/24", upstreamIP6+"/64")
	for _, end := range []struct {
		handle *netlink.Handle
		name   string
	}{{here, "g0"}, {here, "u0"}, {here, "br0"}, {l.guest.handle, "eth0"}, {l.upstream.handle, "eth0"}} {
		require.Eventually(t, func() bool { return find(t, end.handle, end.name).Attrs().OperState == netlink.OperUp }, 5*time.Second, 5*time.Millisecond)
	}
	route(t, l.guest.handle, bridgeIP, bridgeIP6)
	route(t, l.upstream.handle, uplinkIP, uplinkIP6)
	sysctl(t, "net/ipv4/ip_forward", "1")
	sysctl(t, "net/ipv6/conf/all/forwarding", "1")
	calls := map[bool]string{false: "0", true: "1"}[netfilter]
	for _, f := range []string{"iptables", "ip6tables"} {
		sysctl(t, "net/bridge/bridge-nf-call-"+f, calls)
	}
	for _, a := range []string{upstreamIP, upstreamIP6} {
		l.upstream.serve(t, a)
		require.Eventually(t, func() bool { return l.guest.dial(t, a, 80, 100*time.Millisecond) == nil }, 10*time.Second, 10*time.Millisecond, "%s does not answer", a)
	}
	return l
}

func newPlace(t testing.TB) (p place) {
	t.Helper()
	onThread(func() {
		here, err := netns.Get()
		require.NoError(t, err)
		p.ns, err = netns.New()
		require.NoError(t, err)
		require.NoError(t, netns.Set(here))
		require.NoError(t, here.Close())
	})
	var err error
	p.handle, err = netlink.NewHandleAt(p.ns)
	require.NoError(t, err)
	set(t, p.handle, "lo")
	return p
}

func onThread(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		f()
	}()
	<-done
}

// do runs f on a thread in the place's namespace.
func (p place) do(t testing.TB, f func()) {
	t.Helper()
	onThread(func() {
		here, err := netns.Get()
		require.NoError(t, err)
		require.NoError(t, netns.Set(p.ns))
		f()
		require.NoError(t, netns.Set(here))
		require.NoError(t, here.Close())
	})
}

func find(t testing.TB, h *netlink.Handle, name string) netlink.Link {
	t.Helper()
	link, err := h.LinkByName(name)
	require.NoError(t, err)
	return link
}

func set(t testing.TB, h *netlink.Handle, name string, addresses ...string) {
	t.Helper()
	link := find(t, h, name)
	for _, cidr := range addresses {
		a, err := netlink.ParseAddr(cidr)
		require.NoError(t, err)
		if a.IP.To4() == nil {
			a.Flags |= syscall.IFA_F_NODAD
		}
		require.NoError(t, h.AddrAdd(link, a))
	}
	require.NoError(t, h.LinkSetUp(link))
}

func route(t testing.TB, h *netlink.Handle, gateways ...string) {
	t.Helper()
	for _, g := range gateways {
		require.NoError(t, h.RouteAdd(&netlink.Route{Gw: net.ParseIP(g), LinkIndex: find(t, h, "eth0").Attrs().Index}))
	}
}

func sysctl(t testing.TB, name, value string) {
	t.Helper()
	require.NoError(t, os.WriteFile("/proc/sys/"+name, []byte(value), 0o644))
}

// serve accepts connections to port 80 of an address, and closes them.
func (p place) serve(t testing.TB, address string) {
	t.Helper()
	var l net.Listener
	p.do(t, func() {
		var err error
		l, err = net.Listen("tcp", net.JoinHostPort(address, "80"))
		require.NoError(t, err)
	})
	t.Cleanup(func() { require.NoError(t, l.Close()) })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			if c.Close() != nil {
				return
			}
		}
	}()
}

// dial connects from the place, and returns why that failed.
func (p place) dial(t testing.TB, address string, port uint16, timeout time.Duration) (err error) {
	t.Helper()
	p.do(t, func() { err = dial(address, port, timeout) })
	return err
}

func dial(address string, port uint16, timeout time.Duration) error {
	to := netip.AddrPortFrom(netip.MustParseAddr(address), port)
	c, err := net.DialTimeout("tcp", to.String(), timeout)
	if err != nil {
		return err
	}
	return c.Close()
}

// timedOut reports whether a connection attempt got no answer.
func timedOut(err error) bool {
	var n net.Error
	return errors.As(err, &n) && n.Timeout()
}

// run runs a program with a text, or skips the test where it is not installed.
func run(t testing.TB, input, name string, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Skipf("%s is not installed", name)
	}
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Stdin = strings.NewReader(input)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s %v: %s", name, args, out)
	return string(out)
}

func nft(t testing.TB, rules string) { t.Helper(); run(t, rules, "nft", "-f", "-") }

func isolated(t *testing.T, without ...uintptr) bool {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("it takes root to make namespaces and sysctls")
	}
	return nettest.Isolated(t, without...)
}

func tcp(source, destination string, port uint16) observe.Flow {
	return observe.To(observe.TCP, netip.MustParseAddr(source), netip.MustParseAddr(destination), port)
}

// capset takes a capability from the calling thread.
func capset(without uint) error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return err
	}
	data[without/32].Effective &^= 1 << (without % 32)
	return unix.Capset(&header, &data[0])
}

func tuple(source, destination string) observe.Tuple {
	return observe.Tuple{Protocol: observe.TCP, Source: netip.MustParseAddrPort(source), Destination: netip.MustParseAddrPort(destination)}
}
