package listen_test

import (
	"context"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"

	"github.com/mdlayher/packet"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/nestlab/nestlab/observe"
	"github.com/nestlab/nestlab/observe/listen"
	"github.com/nestlab/nestlab/testbed/nettest"
)

// open listens; device binds the socket to one.
func open(t *testing.T, network, address, device string) {
	t.Helper()
	config := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var bound error
		err := c.Control(func(fd uintptr) {
			// Its own address beside the wildcard takes that.
			if bound = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); device != "" {
				bound = unix.BindToDevice(int(fd), device)
			}
		})
		if err != nil {
			return err
		}
		return bound
	}}
	var err error
	if network == "tcp" {
		var l net.Listener
		l, err = config.Listen(context.Background(), network, address)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, l.Close()) })
		return
	}
	p, err := config.ListenPacket(context.Background(), network, address)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Close()) })
}

func at(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

func TestRead(t *testing.T) {
	t.Parallel()
	if !nettest.Isolated(t) {
		return
	}
	nettest.Wire(t)
	open(t, "tcp", "127.0.0.1:2375", "")
	open(t, "tcp", "127.0.0.1:8000", "")
	open(t, "udp4", "0.0.0.0:67", nettest.Near)
	open(t, "udp", ":53", "")
	open(t, "udp4", nettest.NearIP+":53", "")
	open(t, "udp6", "[::]:547", "")
	peer, err := net.Dial("udp4", "127.0.0.1:53") // asks, and takes nothing of others
	require.NoError(t, err)
	defer peer.Close()

	r, err := listen.Read(listen.DNS, listen.DHCP, listen.DHCPv6, listen.Docker, uint16(peer.LocalAddr().(*net.UDPAddr).Port))
	require.NoError(t, err)
	for _, m := range r.Missing { // a machine may guard its first process even from root
		require.Contains(t, m.Why, "processes cannot be seen")
	}
	require.Len(t, r.Sockets, 5, "%+v", r.Sockets)
	for _, s := range r.Sockets {
		require.Len(t, s.Processes, 1)
		require.Equal(t, os.Getpid(), s.Processes[0].PID)
		require.Equal(t, "listen.test", s.Processes[0].Name)
		require.Equal(t, os.Args, s.Processes[0].Command)
	}

	dns := r.On(observe.UDP, at(nettest.NearIP+":53"), nettest.Near)
	require.Len(t, dns, 2)
	require.Equal(t, at(nettest.NearIP+":53"), dns[0].Address, "its own address goes before the wildcard")
	require.True(t, dns[1].Address.Addr().IsUnspecified())
	require.Len(t, r.On(observe.UDP, at("192.0.2.77:53"), nettest.Near), 1, "the wildcard of both families")
	require.Len(t, r.On(observe.UDP, at("[fd00::1]:53"), nettest.Near), 1)
	require.Empty(t, r.On(observe.TCP, at(nettest.NearIP+":53"), nettest.Near), "another protocol")
	dhcp := r.On(observe.UDP, at("255.255.255.255:67"), nettest.Near)
	require.Len(t, dhcp, 1)
	require.Equal(t, nettest.Near, dhcp[0].Device)
	require.Empty(t, r.On(observe.UDP, at("255.255.255.255:67"), "lo"), "bound to another device")
	v6 := r.On(observe.UDP, at("[ff02::1:2]:547"), nettest.Near)
	require.Len(t, v6, 1)
	require.True(t, v6[0].OnlyIPv6)
	require.Empty(t, r.On(observe.UDP, at(nettest.NearIP+":547"), nettest.Near), "IPv6 alone")
	require.Len(t, r.On(observe.TCP, at("127.0.0.1:2375"), "lo"), 1)
	require.Empty(t, r.On(observe.TCP, at(nettest.NearIP+":2375"), nettest.Near), "another address")

	all, err := listen.Read()
	require.NoError(t, err)
	require.Len(t, all.Sockets, 6, "without ports, all")
}

// TestPackets opens what DHCP servers use instead of UDP.
func TestPackets(t *testing.T) {
	t.Parallel()
	if !nettest.Isolated(t) {
		return
	}
	nettest.Wire(t)
	r, err := listen.Read(listen.DHCP)
	require.NoError(t, err)
	require.Empty(t, r.Packets)
	require.Empty(t, r.On(observe.UDP, at("255.255.255.255:67"), nettest.Near), "nobody listens")

	near, err := net.InterfaceByName(nettest.Near)
	require.NoError(t, err)
	p, err := packet.Listen(near, packet.Raw, unix.ETH_P_IP, nil)
	require.NoError(t, err)
	defer p.Close()
	raw, err := net.ListenPacket("ip4:udp", "0.0.0.0")
	require.NoError(t, err)
	defer raw.Close()
	raw6, err := net.ListenPacket("ip6:ipv6-icmp", "::")
	require.NoError(t, err)
	defer raw6.Close()
	r, err = listen.Read(listen.DHCP)
	require.NoError(t, err)
	type kind struct {
		protocol  observe.Protocol
		etherType uint16
		device    string
	}
	kinds := map[kind]bool{}
	for _, p := range r.Packets {
		require.Len(t, p.Processes, 1)
		require.Equal(t, os.Getpid(), p.Processes[0].PID)
		kinds[kind{p.Protocol, p.EtherType, p.Device}] = true
	}
	require.Equal(t, map[kind]bool{
		{0, unix.ETH_P_IP, nettest.Near}: true, {observe.UDP, 0, ""}: true, {observe.ICMPv6, 0, ""}: true,
	}, kinds)
}

func TestHiddenProcesses(t *testing.T) {
	t.Parallel()
	if !nettest.Isolated(t, unix.CAP_SYS_PTRACE) {
		return
	}
	open(t, "tcp", "127.0.0.1:2375", "")
	r, err := listen.Read(listen.Docker)
	require.NoError(t, err)
	require.Len(t, r.Sockets, 1)
	require.Len(t, r.Sockets[0].Processes, 1, "its own process can be seen")
	require.Len(t, r.Missing, 1)
	require.Contains(t, r.Missing[0].Why, "processes cannot be seen (root or CAP_SYS_PTRACE)")
}

func BenchmarkRead(b *testing.B) {
	for b.Loop() {
		_, err := listen.Read(listen.DNS, listen.DHCP, listen.DHCPv6, listen.Docker, listen.DockerTLS)
		require.NoError(b, err)
	}
}
