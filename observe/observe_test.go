package observe_test

import (
	"errors"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/nestlab/nestlab/observe"
)

var (
	guest  = netip.MustParseAddr("10.0.3.5")
	site   = netip.MustParseAddr("198.51.100.2")
	guest6 = netip.MustParseAddr("fd00::5")
)

func TestFlowMatches(t *testing.T) {
	t.Parallel()
	syn := observe.Tuple{Protocol: observe.TCP, Source: netip.AddrPortFrom(guest, 40000), Destination: netip.AddrPortFrom(site, 443)}
	for name, c := range map[string]struct {
		flow  observe.Flow
		there bool
		back  bool
	}{
		"the same":         {observe.To(observe.TCP, guest, site, 443), true, false},
		"any source":       {observe.To(observe.TCP, netip.Addr{}, site, 443), true, false},
		"a network":        {observe.Flow{Source: netip.MustParsePrefix("10.0.3.0/24")}, true, false},
		"another port":     {observe.To(observe.TCP, guest, site, 80), false, false},
		"another protocol": {observe.To(observe.UDP, guest, site, 443), false, false},
		"another family":   {observe.To(observe.TCP, guest6, netip.Addr{}, 443), false, false},
		"the other way":    {observe.To(observe.TCP, site, guest, 0), false, true},
	} {
		require.Equal(t, c.there, c.flow.Matches(syn), name)
		require.Equal(t, c.back, c.flow.Matches(syn.Reverse()), name)
	}
}

func TestFlowFamilies(t *testing.T) {
	t.Parallel()
	four, six, both := observe.To(0, guest, site, 0), observe.To(0, guest6, netip.Addr{}, 0), observe.Flow{Input: "br0"}
	require.Equal(t, []bool{true, false}, []bool{four.Is4(), four.Is6()})
	require.Equal(t, []bool{false, true}, []bool{six.Is4(), six.Is6()})
	require.Equal(t, []bool{true, true}, []bool{both.Is4(), both.Is6()})
}

func TestFlowValidate(t *testing.T) {
	t.Parallel()
	require.NoError(t, observe.To(observe.TCP, guest, site, 443).Validate())
	require.NoError(t, observe.Flow{Input: "br0"}.Validate())
	require.ErrorContains(t, observe.Flow{Protocol: observe.TCP}.Validate(), "names no source")
	require.ErrorContains(t, observe.To(0, guest6, site, 0).Validate(), "two families")
	require.ErrorContains(t, observe.To(observe.ICMP, guest, site, 1).Validate(), "icmp has no ports")
}

func TestHostUnmaps(t *testing.T) {
	t.Parallel()
	require.Equal(t, "10.0.3.5/32", observe.Host(netip.MustParseAddr("::ffff:10.0.3.5")).String())
	require.Equal(t, "fe80::1/128", observe.Host(netip.MustParseAddr("fe80::1%eth0")).String())
	require.Zero(t, observe.Host(netip.Addr{}))
}

func TestUnavailable(t *testing.T) {
	t.Parallel()
	var err error = &observe.Unavailable{Source: "kernel drops", Why: "no BTF", Err: unix.ENOENT}
	require.ErrorIs(t, err, unix.ENOENT)
	require.EqualError(t, err, "kernel drops: unavailable: no BTF: no such file or directory")
	var u *observe.Unavailable
	require.True(t, errors.As(err, &u))
}
