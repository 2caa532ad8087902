package trace_test

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/vishvananda/netlink"

	"github.com/nestlab/nestlab/observe"
	"github.com/nestlab/nestlab/observe/trace"
)

// BenchmarkTrace measures an echo and a connection through the router without a
// trace, with one of another flow, and with one of theirs. It takes a network
// namespace of its own: unshare -n go test -run - -bench Trace ./observe/trace
func BenchmarkTrace(b *testing.B) {
	if links, err := net.Interfaces(); err != nil || len(links) != 1 {
		b.Skipf("run it under `unshare -n`: there are %d interfaces here (%v)", len(links), err)
	}
	here, err := netlink.NewHandle()
	require.NoError(b, err)
	defer here.Close()
	set(b, here, "lo")
	l := newLab(b, true)
	echo := l.echo(b)
	own := []observe.Flow{{Protocol: observe.UDP, Source: netip.MustParsePrefix(guestIP + "/32"), DestinationPort: 7}, tcp(guestIP, upstreamIP, 80)}
	for _, mode := range []struct {
		name  string
		flows []observe.Flow
	}{{"off", nil}, {"of another flow", []observe.Flow{tcp("10.77.0.9", upstreamIP, 81)}}, {"on", own}} {
		start := func(b *testing.B) func() {
			if mode.flows == nil {
				return func() {}
			}
			tracer, err := trace.Start(b.Context(), mode.flows, trace.Options{})
			require.NoError(b, err)
			return func() { require.NoError(b, tracer.Close()) }
		}
		b.Run("echo/"+mode.name, func(b *testing.B) {
			defer start(b)()
			buffer := make([]byte, 64)
			for b.Loop() {
				_, err := echo.Write(buffer[:32])
				require.NoError(b, err)
				_, err = echo.Read(buffer)
				require.NoError(b, err)
			}
		})
		b.Run("connection/"+mode.name, func(b *testing.B) {
			defer start(b)()
			for b.Loop() {
				require.NoError(b, l.guest.dial(b, upstreamIP, 80, time.Second))
			}
		})
	}
	b.Run("start and close", func(b *testing.B) {
		for b.Loop() {
			tracer, err := trace.Start(b.Context(), own, trace.Options{})
			require.NoError(b, err)
			require.NoError(b, tracer.Close())
		}
	})
	b.Run("result", func(b *testing.B) {
		tracer, err := trace.Start(b.Context(), own, trace.Options{})
		require.NoError(b, err)
		require.NoError(b, l.guest.dial(b, upstreamIP, 80, time.Second))
		for b.Loop() {
			_, err := tracer.Result(b.Context())
			require.NoError(b, err)
		}
		require.NoError(b, tracer.Close())
	})
}

// echo returns a connection of the guest's to a server that sends datagrams back.
func (l *lab) echo(b *testing.B) net.Conn {
	b.Helper()
	var server net.PacketConn
	var client net.Conn
	l.upstream.do(b, func() {
		var err error
		server, err = net.ListenPacket("udp", net.JoinHostPort(upstreamIP, "7"))
		require.NoError(b, err)
	})
	l.guest.do(b, func() {
		var err error
		client, err = net.Dial("udp", net.JoinHostPort(upstreamIP, "7"))
		require.NoError(b, err)
	})
	b.Cleanup(func() { require.NoError(b, server.Close()); require.NoError(b, client.Close()) })
	go func() {
		buffer := make([]byte, 64)
		for {
			n, from, err := server.ReadFrom(buffer)
			if err != nil {
				return
			}
			if _, err := server.WriteTo(buffer[:n], from); err != nil {
				return
			}
		}
	}()
	return client
}
