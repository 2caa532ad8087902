package model_test

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/model"
)

// Neighbours that find each other are those who were asked for: another guest's question
// is no concern of a place.
func TestDiscovers(t *testing.T) {
	t.Parallel()
	among := []netip.Addr{netip.MustParseAddr("10.77.0.2"), netip.MustParseAddr("10.77.0.1"), netip.MustParseAddr("fd77::2"), netip.MustParseAddr("fd77::1:2:3")}
	for _, test := range []struct {
		protocol, from, to string
		four, six          bool
	}{
		{"arp", "10.77.0.2", "10.77.0.1", true, false},
		{"arp", "10.77.0.9", "10.77.0.1", false, false},
		{"ndp", "fd77::2", "fd77::1:2:3", false, true},
		{"ndp", "fd77::2", "ff02::1:ff02:3", false, true},
		{"ndp", "fd77::2", "ff02::1:ff02:4", false, false},
		{"ndp", "::", "ff02::1:ff02:3", false, true},
		{"ipv6-icmp", "fd77::2", "ff02::16", false, true},
		{"ipv6-icmp", "fd77::2", "fd77::1:2:3", false, false},
		{"tcp", "10.77.0.2", "10.77.0.1", false, false},
	} {
		s := model.Sighting{Flows: []model.PacketFlow{{
			Protocol: test.protocol, Source: netip.AddrPortFrom(netip.MustParseAddr(test.from), 0), Destination: netip.AddrPortFrom(netip.MustParseAddr(test.to), 0),
		}}}
		require.Equal(t, test.four, s.Discovers(among, false), "%+v", test)
		require.Equal(t, test.six, s.Discovers(among, true), "%+v", test)
	}
}
