package drops_test

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/nestlab/nestlab/observe"
	"github.com/nestlab/nestlab/observe/drops"
)

var local = netip.MustParseAddr("127.0.0.1")

func watchPort(b *testing.B, port uint16) func() {
	w, err := drops.Start(drops.Watch{Flows: []observe.Flow{observe.To(observe.UDP, local, local, port)}})
	require.NoError(b, err)
	return func() {
		_, err := w.Stop()
		require.NoError(b, err)
	}
}

// BenchmarkWatch measures what it takes to start and to stop.
func BenchmarkWatch(b *testing.B) {
	for b.Loop() {
		watchPort(b, 9)()
	}
}

// BenchmarkSymbols measures what it takes to find the functions of drops.
func BenchmarkSymbols(b *testing.B) {
	for b.Loop() {
		require.NoError(b, drops.FindFunctions())
	}
}

// BenchmarkPackets sends datagrams over the loopback, where the kernel drops each:
// the most that a watch can cost. With "other" the drops are of no watched flow.
// on/off is the processor time with a watch for one without, taken in turns.
func BenchmarkPackets(b *testing.B) {
	for name, port := range map[string]uint16{"watched": 9, "other": 10} {
		b.Run(name, func(b *testing.B) {
			conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
			require.NoError(b, err)
			defer conn.Close()
			var on, off time.Duration
			for b.Loop() {
				off += send(b, conn)
				stop := watchPort(b, port)
				on += send(b, conn)
				stop()
			}
			b.ReportMetric(float64(on)/float64(off), "on/off")
		})
	}
}

// send returns the processor time that datagrams take, this process's reading of
// drops too: other work of the machine does not count.
func send(b *testing.B, conn net.PacketConn) time.Duration {
	start := used(b)
	for range 20000 {
		_, err := conn.WriteTo([]byte("?"), &net.UDPAddr{IP: local.AsSlice(), Port: 9})
		require.NoError(b, err)
	}
	return used(b) - start
}

func used(b *testing.B) time.Duration {
	var u unix.Rusage
	require.NoError(b, unix.Getrusage(unix.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
