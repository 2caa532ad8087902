package networks

import (
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// LXD's dnsmasq gives addresses of IPv4 unless it was told not to; of one that is not there
// it is not known.
func TestLXDWithoutDHCP(t *testing.T) {
	root := t.TempDir()
	for name, text := range map[string]string{
		"lxdbr0": "name: dnsmasq\nargs: [--keep-in-foreground, --interface=lxdbr0, --dhcp-range, '10.1.2.2,10.1.2.254,1h', --listen-address=10.1.2.1]\npid: 12\n",
		"lxdbr1": "name: dnsmasq\nargs: [--keep-in-foreground, --interface=lxdbr1, --dhcp-range, '::,constructor:lxdbr1,ra-only']\npid: 13\n",
		"lxdbr2": "",
	} {
		dir := filepath.Join(root, "var/lib/lxd/networks", name)
		require.NoError(t, os.MkdirAll(dir, 0o755))
		if text != "" {
			require.NoError(t, os.WriteFile(filepath.Join(dir, "dnsmasq.pid"), []byte(text), 0o600))
		}
	}
	all, err := Options{Root: root}.lxd(t.Context())
	require.NoError(t, err)
	dhcp := map[string]bool{}
	for _, n := range all {
		dhcp[n.Name] = n.DHCP
		require.Equal(t, n.Name == "lxdbr0", n.Gateway == netip.MustParsePrefix("10.1.2.1/24"), "%s: %s", n.Name, n.Gateway)
	}
	require.Equal(t, map[string]bool{"lxdbr0": true, "lxdbr1": false, "lxdbr2": true}, dhcp)
}

// The address of a bridge is what its program says, or the first of the network.
func TestGatewaysOfPrograms(t *testing.T) {
	for text, want := range map[string]string{
		`<network><bridge name="virbr0"/><forward mode="nat"/><ip address="192.168.122.1" netmask="255.255.255.0"><dhcp/></ip></network>`:           "192.168.122.1/24",
		`<network><bridge name="virbr0"/><forward/><ip family="ipv6" address="fd00::1" prefix="64"/><ip address="10.0.0.9" prefix="16"/></network>`: "10.0.0.9/16",
		`<network><bridge name="br0"/><forward mode="bridge"/></network>`:                                                                           "invalid Prefix",
	} {
		n, err := parseLibvirt([]byte(text))
		require.NoError(t, err)
		require.Equal(t, want, n.Gateway.String(), text)
	}
	require.Equal(t, "10.88.0.1/16", gatewayOf("10.88.0.0/16", "").String())
	require.Equal(t, "10.88.0.254/16", gatewayOf("10.88.0.0/16", "10.88.0.254").String())
	require.False(t, gatewayOf("fd00::/64", "fd00::1").IsValid())
	require.False(t, gatewayOf("", "").IsValid())
}
