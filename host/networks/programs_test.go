package networks

import (
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
	}
	require.Equal(t, map[string]bool{"lxdbr0": true, "lxdbr1": false, "lxdbr2": true}, dhcp)
}
