package listen

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func optionsOf(root string, args []string) []string { return readDnsmasq(root, args).options }

// What dnsmasq gives is read from its arguments, in both forms, and from the file that they name.
func TestDnsmasqOptions(t *testing.T) {
	t.Parallel()
	conf := filepath.Join(t.TempDir(), "dnsmasq.raw")
	require.NoError(t, os.WriteFile(conf, []byte("# of the network\nbogus-nxdomain=198.51.100.0/24 # advertising\nlog-queries\nno-resolv\n"), 0o600))
	require.Equal(t, []string{"bogus-nxdomain=198.51.100.0/24", "no-resolv", "dhcp-range=10.77.0.2,10.77.0.254,1h", "dhcp-option-force=3,10.77.0.254"},
		optionsOf("/", []string{"dnsmasq", "--strict-order", "--conf-file=" + conf, "--dhcp-range", "10.77.0.2,10.77.0.254,1h", "--dhcp-option-force=3,10.77.0.254", "-u", "lxd"}))
	require.Empty(t, optionsOf("/", []string{"dnsmasq", "--conf-file=" + conf + ".gone"}))
	pipe := conf + ".pipe"
	require.NoError(t, unix.Mkfifo(pipe, 0o600))
	require.Empty(t, optionsOf("/", []string{"dnsmasq", "--conf-file=" + pipe}), "a pipe is not opened: that would hang")
	require.NoError(t, os.Symlink("/dnsmasq.raw", filepath.Join(filepath.Dir(conf), "own")))
	require.Equal(t, []string{"bogus-nxdomain=198.51.100.0/24", "no-resolv"},
		optionsOf(filepath.Dir(conf), []string{"dnsmasq", "--conf-file=/../own"}), "the root is that of the process, of links and of .. too")
}

// The servers that dnsmasq asks are those for any name: of its arguments, of its file and of
// the resolv.conf that it reads unless it is told not to.
func TestDnsmasqServers(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(root, "etc"), 0o700))
	for name, text := range map[string]string{
		"etc/resolv.conf": "search test\nnameserver 127.0.0.53\nnameserver fe80::1%eth0\noptions edns0\n", "up": "nameserver 192.0.2.9\n", "conf": "no-resolv\nserver=192.0.2.5\n",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(root, name), []byte(text), 0o600))
	}
	for _, test := range []struct {
		args    []string
		servers string
		unknown bool
	}{
		{args: nil, servers: "[127.0.0.53:53 [fe80::1%eth0]:53]"},
		{args: []string{"--no-resolv"}, servers: "[]"},
		{args: []string{"-R", "-S", "192.0.2.1"}, servers: "[192.0.2.1:53]"},
		{args: []string{"--no-resolv", "--server=192.0.2.1#5353@eth0", "--server=/lab.test/192.0.2.2", "--server=/#/192.0.2.3", "--server=192.0.2.4#x"}, servers: "[192.0.2.1:5353 192.0.2.3:53]"},
		{args: []string{"--resolv-file=/up"}, servers: "[192.0.2.9:53]"},
		{args: []string{"-r", "/up", "--no-resolv"}, servers: "[]"},
		{args: []string{"--conf-file=/conf"}, servers: "[192.0.2.5:53]"},
		{args: []string{"--conf-file=/gone", "--no-resolv"}, servers: "[]", unknown: true},
		{args: []string{"--conf-file=", "--no-resolv"}, servers: "[]"},
		{args: []string{"--resolv-file=/gone"}, servers: "[]", unknown: true},
		{args: []string{"--no-resolv", "--conf-dir=/etc/dnsmasq.d"}, servers: "[]", unknown: true},
	} {
		d := readDnsmasq(root, append([]string{"dnsmasq"}, test.args...))
		require.Equal(t, test.servers, fmt.Sprint(d.servers), test.args)
		require.Equal(t, !test.unknown, d.known, test.args)
	}
	require.True(t, readDnsmasq("/", []string{"dnsmasq", "--conf-file=/dev/null", "--no-resolv"}).known)
}
