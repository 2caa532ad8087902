package listen

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// What dnsmasq gives is read from its arguments, in both forms, and from the file that they name.
func TestDnsmasqOptions(t *testing.T) {
	t.Parallel()
	conf := filepath.Join(t.TempDir(), "dnsmasq.raw")
	require.NoError(t, os.WriteFile(conf, []byte("# of the network\nbogus-nxdomain=198.51.100.0/24 # advertising\nlog-queries\nno-resolv\n"), 0o600))
	require.Equal(t, []string{"bogus-nxdomain=198.51.100.0/24", "no-resolv", "dhcp-range=10.77.0.2,10.77.0.254,1h", "dhcp-option-force=3,10.77.0.254"},
		dnsmasqOptions("/", []string{"dnsmasq", "--strict-order", "--conf-file=" + conf, "--dhcp-range", "10.77.0.2,10.77.0.254,1h", "--dhcp-option-force=3,10.77.0.254", "-u", "lxd"}))
	require.Empty(t, dnsmasqOptions("/", []string{"dnsmasq", "--conf-file=" + conf + ".gone"}))
	pipe := conf + ".pipe"
	require.NoError(t, unix.Mkfifo(pipe, 0o600))
	require.Empty(t, dnsmasqOptions("/", []string{"dnsmasq", "--conf-file=" + pipe}), "a pipe is not opened: that would hang")
	require.NoError(t, os.Symlink("/dnsmasq.raw", filepath.Join(filepath.Dir(conf), "own")))
	require.Equal(t, []string{"bogus-nxdomain=198.51.100.0/24", "no-resolv"},
		dnsmasqOptions(filepath.Dir(conf), []string{"dnsmasq", "--conf-file=/../own"}), "the root is that of the process, of links and of .. too")
}
