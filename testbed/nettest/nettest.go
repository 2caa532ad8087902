// Package nettest gives tests a network of their own: namespaces, a wire between
// two of them, and packet filters that break it on purpose. For tests only.
package nettest

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/testbed/await"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

const marker = "NESTLAB_NETTEST"

// Isolated runs the calling test once more in a process with a network
// namespace of its own, since a namespace of one thread does not hold for the
// goroutines that a test starts. It returns true in that process, with the
// loopback up; the caller goes on only then:
//
//	if !nettest.Isolated(t) {
//		return
//	}
//
// A failure there fails the calling test. Without root it takes a user namespace.
// The process lacks the capabilities named by without, such as unix.CAP_NET_RAW.
func Isolated(t *testing.T, without ...uintptr) bool {
	t.Helper()
	if os.Getenv(marker) == t.Name() {
		up(t, nil, "lo")
		return true
	}
	limit := 2 * time.Minute
	if end, ok := t.Deadline(); ok {
		limit = max(limit, time.Until(end))
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run", exactly(t.Name()), "-test.v", "-test.timeout="+limit.String())
	cmd.Env = append(os.Environ(), marker+"="+t.Name())
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	if os.Geteuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}}
	}
	var out []byte
	var err error
	start := func() { out, err = cmd.CombinedOutput() }
	if len(without) > 0 {
		start = bounded(t, start, without)
	}
	start()
	require.NoError(t, err, "in a network namespace:\n%s", out)
	require.Contains(t, string(out), "--- PASS: "+t.Name(), "the test did not run in its namespace")
	return false
}

// bounded runs f on a thread whose bounding set lacks capabilities, and which
// ends with f: what it executes can never get them back.
func bounded(t *testing.T, f func(), without []uintptr) func() {
	return func() {
		done := make(chan struct{})
		go func() {
			defer close(done)
			runtime.LockOSThread() // never unlocked
			for _, c := range without {
				if err := unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0); err != nil {
					t.Errorf("drop capability %d: %v", c, err)
				}
			}
			f()
		}()
		<-done
	}
}

func exactly(name string) string {
	return "^" + regexp.MustCompile("/").ReplaceAllString(regexp.QuoteMeta(name), "$$/^") + "$"
}

// Peer is a second namespace at the other end of a wire.
type Peer struct {
	ns     netns.NsHandle
	handle *netlink.Handle
}

// The ends of the wire that Wire lays.
const (
	Near   = "near0" // here
	Far    = "far0"  // in the peer
	NearIP = "192.0.2.1"
	FarIP  = "192.0.2.2"
)

// Wire lays a veth pair from this namespace to a new one: NearIP here, FarIP there.
func Wire(t *testing.T) *Peer {
	t.Helper()
	p := &Peer{}
	// A new namespace belongs to the thread that makes it, so the thread goes back at once.
	inThread(t, func() {
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
	veth := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: Near}, PeerName: Far, PeerNamespace: netlink.NsFd(p.ns)}
	require.NoError(t, netlink.LinkAdd(veth))
	Address(t, nil, Near, NearIP+"/24")
	Address(t, p, Far, FarIP+"/24")
	up(t, nil, Near)
	up(t, p, Far)
	up(t, p, "lo")
	running(t, nil, Near)
	running(t, p, Far)
	Settle(t, FarIP)
	return p
}

// running waits until the kernel takes packets on the link: it drops them
// silently for up to a second after the link was set up.
func running(t *testing.T, p *Peer, name string) {
	t.Helper()
	h := in(t, p)
	await.True(t, func() bool {
		link, err := h.LinkByName(name)
		return err == nil && link.Attrs().OperState == netlink.OperUp
	}, "link %s never ran", name)
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

// Do runs f on a thread in the peer's namespace: a socket that it opens stays there.
func (p *Peer) Do(t *testing.T, f func()) {
	t.Helper()
	inThread(t, func() {
		here, err := netns.Get()
		require.NoError(t, err)
		require.NoError(t, netns.Set(p.ns))
		f()
		require.NoError(t, netns.Set(here))
		require.NoError(t, here.Close())
	})
}

// Listen opens a TCP listener in the peer.
func (p *Peer) Listen(t *testing.T, address string) net.Listener {
	t.Helper()
	var l net.Listener
	p.Do(t, func() {
		var err error
		l, err = net.Listen("tcp", address)
		require.NoError(t, err)
	})
	t.Cleanup(func() { require.ErrorIs(t, errOr(l.Close(), net.ErrClosed), net.ErrClosed) })
	return l
}

// errOr makes a second close, by a server that owns the listener, no failure.
func errOr(err, fallback error) error {
	if err == nil {
		return fallback
	}
	return err
}

// in returns what changes links here, or in the peer.
func in(t *testing.T, p *Peer) *netlink.Handle {
	t.Helper()
	if p != nil {
		return p.handle
	}
	h, err := netlink.NewHandle()
	require.NoError(t, err)
	return h
}

func up(t *testing.T, p *Peer, name string) {
	t.Helper()
	h := in(t, p)
	link, err := h.LinkByName(name)
	require.NoError(t, err)
	require.NoError(t, h.LinkSetUp(link))
}

// Address puts an address, in CIDR form, on a link; a nil peer means here.
func Address(t *testing.T, p *Peer, name, cidr string) {
	t.Helper()
	h := in(t, p)
	link, err := h.LinkByName(name)
	require.NoError(t, err)
	a, err := netlink.ParseAddr(cidr)
	require.NoError(t, err)
	// No duplicate address detection: an IPv6 address would take a second.
	a.Flags |= syscall.IFA_F_NODAD
	require.NoError(t, h.AddrAdd(link, a))
}

// Filter adds a rule to a base chain of its own on a hook, here or in the peer.
// It is reverted with the returned function, and with the namespace.
func Filter(t *testing.T, p *Peer, hook *nftables.ChainHook, exprs ...expr.Any) func() {
	t.Helper()
	var opts []nftables.ConnOption
	if p != nil {
		opts = append(opts, nftables.WithNetNSFd(int(p.ns)))
	}
	conn, err := nftables.New(opts...)
	require.NoError(t, err)
	table := conn.AddTable(&nftables.Table{Family: nftables.TableFamilyINet, Name: "nettest"})
	chain := conn.AddChain(&nftables.Chain{
		Name: "broken", Table: table, Type: nftables.ChainTypeFilter, Hooknum: hook, Priority: nftables.ChainPriorityFilter,
	})
	conn.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: exprs})
	require.NoError(t, conn.Flush())
	return func() {
		t.Helper()
		conn.DelTable(table)
		require.NoError(t, conn.Flush())
	}
}

// Prohibit makes the kernel deny (EACCES) what goes to a network.
func Prohibit(t *testing.T, cidr string) {
	t.Helper()
	dst, err := netlink.ParseIPNet(cidr)
	require.NoError(t, err)
	require.NoError(t, netlink.RouteAdd(&netlink.Route{Dst: dst, Type: unix.RTN_PROHIBIT}))
}

// Settle waits until an address of the peer answers. The first question for a
// neighbour may get lost, and is put again only after a second.
func Settle(t *testing.T, address string) {
	t.Helper()
	await.True(t, func() bool {
		conn, err := net.DialTimeout("tcp", net.JoinHostPort(address, "1"), time.Second)
		if err == nil {
			err = conn.Close()
		}
		return err == nil || errors.Is(err, syscall.ECONNREFUSED)
	}, "%s never answered", address)
}
