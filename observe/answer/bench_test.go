package answer_test

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/nestlab/nestlab/observe"
	"github.com/nestlab/nestlab/observe/answer"
)

// BenchmarkPackets sends datagrams over the loopback, each of which is refused: the
// most that a watch can cost. on/off is the processor time with a watch for one
// without, taken in turns.
func BenchmarkPackets(b *testing.B) {
	local := netip.MustParseAddr("127.0.0.1")
	var on, off time.Duration
	for b.Loop() {
		off += send(b)
		w, err := answer.Start(b.Context(), observe.To(observe.UDP, local, local, 9))
		require.NoError(b, err)
		on += send(b)
		_, err = w.Stop()
		require.NoError(b, err)
	}
	b.ReportMetric(float64(on)/float64(off), "on/off")
}

func send(b *testing.B) time.Duration {
	conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
	require.NoError(b, err)
	start := used(b)
	for range 20000 {
		_, err := conn.WriteTo([]byte("?"), &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 9})
		require.NoError(b, err)
	}
	took := used(b) - start
	require.NoError(b, conn.Close())
	return took
}

func used(b *testing.B) time.Duration {
	var u unix.Rusage
	require.NoError(b, unix.Getrusage(unix.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
