package vm_test

import (
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/vm"
)

func TestTuneWritesTheGuestsFiles(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	for _, dir := range []string{"etc/apt/apt.conf.d", "proc/sys/net/ipv6/conf/all", "proc/sys/net/ipv6/conf/default"} {
		require.NoError(t, os.MkdirAll(filepath.Join(root, dir), 0o755))
	}
	require.NoError(t, os.WriteFile(filepath.Join(root, "etc/hosts"), []byte("127.0.0.1 localhost\n"), 0o644))
	require.NoError(t, os.Symlink("/run/systemd/resolve/stub-resolv.conf", filepath.Join(root, "etc/resolv.conf")))
	tuning := vm.Tuning{
		Root: root, NoIPv6: true, Hosts: []string{"archive.lab.test=127.0.1.1"}, Resolver: netip.MustParseAddr("192.0.2.53"),
	}
	require.NoError(t, tuning.Tune(t.Context()))
	for path, want := range map[string]string{
		"etc/hosts":                                   "127.0.0.1 localhost\n127.0.1.1 archive.lab.test\n",
		"etc/resolv.conf":                             "nameserver 192.0.2.53\n",
		"etc/apt/apt.conf.d/99nestlab-ipv4":           "Acquire::ForceIPv4 \"true\";\n",
		"proc/sys/net/ipv6/conf/all/disable_ipv6":     "1",
		"proc/sys/net/ipv6/conf/default/disable_ipv6": "1",
	} {
		text, err := os.ReadFile(filepath.Join(root, path))
		require.NoError(t, err)
		require.Equal(t, want, string(text), path)
	}
	require.ErrorContains(t, vm.Tuning{Root: root, Hosts: []string{"nonsense"}}.Tune(t.Context()), "NAME=ADDRESS")
}

func TestTuningTravelsAsArguments(t *testing.T) {
	t.Parallel()
	require.Equal(t, []string{"vm", "tune"}, vm.Tuning{}.Arguments())
	require.Equal(t, []string{
		"vm", "tune", "--address", "192.0.2.7/24", "--gateway", "192.0.2.1", "--resolver", "192.0.2.53", "--no-ipv6", "--host", "a=b",
	}, vm.Tuning{
		Address: netip.MustParsePrefix("192.0.2.7/24"), Gateway: netip.MustParseAddr("192.0.2.1"),
		Resolver: netip.MustParseAddr("192.0.2.53"), NoIPv6: true, Hosts: []string{"a=b"},
	}.Arguments())
}
