package drops_test

import (
	"net"
	"net/netip"
	"os"
	"runtime"
	"testing"

	"github.com/google/nftables"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/nestlab/nestlab/observe"
	"github.com/nestlab/nestlab/observe/drops"
	"github.com/nestlab/nestlab/observe/observetest"
	"github.com/nestlab/nestlab/testbed/nettest"
)

var toSite = drops.Watch{Flows: []observe.Flow{observe.To(observe.UDP, observetest.Guest, observetest.Site, 0)}}

func TestPerfBuffer(t *testing.T) {
	t.Parallel()
	if !nettest.Isolated(t) {
		return
	}
	n := observetest.New(t)
	w, err := drops.Start(within(t, n, toSite.Perf()))
	require.NoError(t, err)
	require.ErrorIs(t, n.Guest.Dial(t, "udp", observetest.Site, 53, silence), unix.ECONNREFUSED)
	r, err := w.Stop()
	require.NoError(t, err)
	require.Len(t, r.Drops, 1)
	require.Equal(t, drops.Reason("NO_SOCKET"), r.Drops[0].Reason)
}

func TestKernelWithoutReasons(t *testing.T) {
	t.Parallel()
	if !nettest.Isolated(t) {
		return
	}
	n := observetest.New(t)
	w, err := drops.StartWithoutReasons(within(t, n, toSite))
	require.NoError(t, err)
	require.ErrorIs(t, n.Guest.Dial(t, "udp", observetest.Site, 53, silence), unix.ECONNREFUSED)
	r, err := w.Stop()
	require.NoError(t, err)
	require.Len(t, r.Drops, 1)
	require.Empty(t, r.Drops[0].Reason)
	require.Equal(t, "__udp4_lib_rcv", r.Drops[0].Function)
	require.ErrorContains(t, r.Missing[0], "no drop reasons: they are there since Linux 5.17")
}

// TestReply drops an answer: it is of the flow, the opposite way.
func TestReply(t *testing.T) {
	t.Parallel()
	if !nettest.Isolated(t) {
		return
	}
	n := observetest.New(t)
	nettest.Filter(t, nil, nftables.ChainHookForward, append(nettest.ToPort(80), nettest.Drop())...)
	w, err := drops.Start(within(t, n, drops.Watch{Flows: []observe.Flow{observe.To(observe.TCP, observetest.Site, observetest.Guest, 0), observe.To(observe.TCP, observetest.Guest, observetest.Site, 80)}}))
	require.NoError(t, err)
	require.Error(t, n.Guest.Dial(t, "tcp", observetest.Site, 80, silence))
	got := await(t, w)
	require.True(t, got.Reply, "of the first flow that it is of")
	require.Zero(t, got.Flow)
	_, err = w.Stop()
	require.NoError(t, err)
}

// TestOthers shows that nothing is told of other flows and other namespaces.
func TestOthers(t *testing.T) {
	t.Parallel()
	if !nettest.Isolated(t) {
		return
	}
	n := observetest.New(t)
	start := func(flow observe.Flow, at *observetest.Place) *drops.Watcher {
		w, err := drops.Start(drops.Watch{Flows: []observe.Flow{flow}, Namespaces: []uint32{at.Inode(t)}})
		require.NoError(t, err)
		return w
	}
	this := observe.To(observe.UDP, observetest.Guest, observetest.Site, 53)
	there, here := start(this, n.Site), start(this, n.Router)
	for _, other := range []observe.Flow{
		observe.To(observe.UDP, observetest.Guest, observetest.Site, 54),
		observe.To(observe.TCP, observetest.Guest, observetest.Site, 53),
		observe.To(observe.UDP, observetest.Gateway, observetest.Site, 53),
		observe.To(observe.UDP, observetest.Guest, observetest.Outside, 53),
		observe.To(observe.UDP, observetest.Guest6, observetest.Site6, 53),
	} {
		w := start(other, n.Site)
		defer func() {
			r, err := w.Stop()
			require.NoError(t, err)
			require.Empty(t, r.Drops, "%+v", other)
		}()
	}
	require.ErrorIs(t, n.Guest.Dial(t, "udp", observetest.Site, 53, silence), unix.ECONNREFUSED)
	r, err := here.Stop()
	require.NoError(t, err)
	require.Empty(t, r.Drops, "another namespace")
	r, err = there.Stop()
	require.NoError(t, err)
	require.Len(t, r.Drops, 1)
	require.EqualValues(t, 1, r.Drops[0].Packets)
}

// TestBounds sends datagrams to more ports than are kept, and more at once than
// the buffer takes.
func TestBounds(t *testing.T) {
	t.Parallel()
	if !nettest.Isolated(t) {
		return
	}
	n := observetest.New(t)
	w, err := drops.Start(within(t, n, toSite))
	require.NoError(t, err)
	const total = 3000
	release := w.Hold()
	n.Guest.Do(t, func() {
		conn, err := net.ListenPacket("udp4", "0.0.0.0:0")
		require.NoError(t, err)
		for port := 1; port <= total; port++ {
			_, err := conn.WriteTo([]byte("?"), &net.UDPAddr{IP: observetest.Site.AsSlice(), Port: port})
			require.NoError(t, err)
		}
		require.NoError(t, conn.Close())
	})
	release()
	r, err := w.Stop()
	require.NoError(t, err)
	require.Len(t, r.Drops, drops.MaxDrops)
	require.EqualValues(t, total-drops.MaxDrops, r.Lost, "what is not told is counted")
}

// TestManyFlows loads the largest program: 64 networks and ports of both families.
func TestManyFlows(t *testing.T) {
	t.Parallel()
	var watch drops.Watch
	for i := range 32 {
		watch.Flows = append(watch.Flows,
			observe.Flow{Protocol: observe.TCP, Source: netip.PrefixFrom(observetest.Guest, i+1), Destination: netip.PrefixFrom(observetest.Site, 32-i), SourcePort: uint16(i + 1), DestinationPort: 80},
			observe.Flow{Protocol: observe.UDP, Source: netip.PrefixFrom(observetest.Guest6, i+1), Destination: netip.PrefixFrom(observetest.Site6, 128-i), DestinationPort: 53})
		watch.Namespaces = append(watch.Namespaces, uint32(i+1))
	}
	w, err := drops.Start(watch)
	require.NoError(t, err)
	_, err = w.Stop()
	require.NoError(t, err)
}

func TestInvalidWatch(t *testing.T) {
	t.Parallel()
	_, err := drops.Start(drops.Watch{})
	require.ErrorContains(t, err, "name 1 to 64 flows, not 0")
	_, err = drops.Start(drops.Watch{Flows: []observe.Flow{{}}})
	require.ErrorContains(t, err, "names no source")
	_, err = drops.Start(drops.Watch{Flows: []observe.Flow{{Input: "br0"}}})
	require.ErrorContains(t, err, "name a namespace")
}

func TestNeedsTheCapability(t *testing.T) {
	t.Parallel()
	if !nettest.Isolated(t, unix.CAP_BPF, unix.CAP_PERFMON, unix.CAP_SYS_ADMIN) {
		return
	}
	_, err := drops.Start(toSite)
	var u *observe.Unavailable
	require.ErrorAs(t, err, &u)
	require.Equal(t, drops.Source, u.Source)
	require.ErrorIs(t, err, unix.EPERM)
	require.Contains(t, u.Why, "CAP_BPF")
}

func TestNeedsBTF(t *testing.T) {
	t.Parallel()
	if !nettest.Isolated(t) {
		return
	}
	if os.Geteuid() != 0 {
		t.Skip("only root can hide the kernel's BTF")
	}
	runtime.LockOSThread() // never unlocked: the thread ends with the test
	require.NoError(t, unix.Unshare(unix.CLONE_NEWNS))
	require.NoError(t, unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""))
	require.NoError(t, unix.Mount("none", "/sys/kernel/btf", "tmpfs", 0, ""))
	_, err := drops.Start(toSite)
	var u *observe.Unavailable
	require.ErrorAs(t, err, &u)
	require.Contains(t, u.Why, "this kernel has no BTF")
}

func TestLockdown(t *testing.T) {
	t.Parallel()
	require.NoError(t, drops.Locked("none [integrity] confidentiality\n"))
	require.ErrorContains(t, drops.Locked("none integrity [confidentiality]\n"), "kernel drops: unavailable: the kernel is locked down")
}
