package answer

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/observe"
)

func ip4(protocol byte, rest string) string {
	return "\x45\x00\x00\x28\x12\x34\x00\x00\x40" + string([]byte{protocol}) + "\x00\x00\x0a\x00\x00\x01\x0a\x00\x00\x02" + rest
}

func ip6(next byte, rest string) string {
	return "\x60\x00\x00\x00\x00\x10" + string([]byte{next}) + "\x40" + strings.Repeat("\x00", 15) + "\x01" + strings.Repeat("\x00", 15) + "\x02" + rest
}

const (
	rst = "\x00\x50\x9c\x40\x00\x00\x00\x01\x00\x00\x00\x02\x50\x14"
	syn = "\x9c\x40\x00\x50\x00\x00\x00\x01\x00\x00\x00\x00\x50\x02"
	udp = "\x9c\x40\x00\x35\x00\x09\x00\x00"
)

func TestParse(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		packet      string
		kind, code  uint8
		destination string
		mtu         uint32
	}{
		"reset":          {ip4(6, rst), 0, 0, "10.0.0.1:80", 0},
		"reset, IPv6":    {ip6(6, rst), 0, 0, "[::1]:80", 0},
		"refused SYN":    {ip4(1, "\x03\x0d......"+ip4(6, syn)), 3, 13, "10.0.0.2:80", 0},
		"refused UDP":    {ip4(1, "\x03\x03......"+ip4(17, udp)), 3, 3, "10.0.0.2:53", 0},
		"too big":        {ip4(1, "\x03\x04....\x05\x14"+ip4(17, udp)), 3, 4, "10.0.0.2:53", 1300},
		"too big, IPv6":  {ip6(58, "\x02\x00..\x00\x00\x05\x14"+ip6(17, udp)), 2, 0, "[::2]:53", 1300},
		"expired":        {ip4(1, "\x0b\x00......"+ip4(6, syn[:8])), 11, 0, "10.0.0.2:80", 0},
		"of an echo":     {ip4(1, "\x03\x01......"+ip4(1, "\x08\x00......")), 3, 1, "10.0.0.2:0", 0},
		"of a cut echo":  {ip4(1, "\x03\x01......"+ip4(1, "")), 3, 1, "10.0.0.2:0", 0},
		"refused, IPv6":  {ip6(58, "\x01\x01......"+ip6(6, syn)), 1, 1, "[::2]:80", 0},
		"of another one": {ip4(1, "\x03\x02......"+ip4(132, udp)), 3, 2, "10.0.0.2:0", 0},
	} {
		p, ok := parse([]byte(c.packet))
		require.True(t, ok, name)
		require.Equal(t, [2]uint8{c.kind, c.code}, [2]uint8{p.kind, p.code}, name)
		require.Equal(t, c.destination, p.refused.Destination.String(), name)
		require.Equal(t, c.mtu, p.mtu, name)
	}
	for name, other := range map[string]string{
		"nothing": "", "no reset": ip4(6, syn), "an echo": ip4(1, "\x08\x00......"+ip4(6, syn)), "neighbours": ip6(58, "\x87\x00......"+ip6(6, syn)),
		"UDP": ip4(17, udp), "ICMP over IPv6": ip6(1, "\x03\x00......"+ip6(6, syn)), "cut": ip4(1, "\x03\x03......"+ip4(6, syn)[:19]), "a fragment": strings.Replace(ip4(6, rst), "\x00\x00\x40", "\x00\x01\x40", 1),
	} {
		_, ok := parse([]byte(other))
		require.False(t, ok, name)
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{ip4(6, rst), ip6(6, rst), ip4(1, "\x03\x0d......"+ip4(6, syn)), ip6(58, "\x02\x00..\x00\x00\x05\x14"+ip6(17, udp))} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p, ok := parse(b)
		if ok && (!p.refused.Destination.Addr().IsValid() || !p.from.IsValid() || p.protocol == observe.UDP) {
			t.Fatalf("%x is read as %+v", b, p)
		}
	})
}
