package host

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/vm"
)

// A guest is told a resolver that it can ask by IPv4: not the stub of
// systemd-resolved, but what that asks itself.
func TestTheResolverForGuests(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		conf, resolved string
		want           string
	}{
		"its own":              {"nameserver 192.0.2.53\n", "", "192.0.2.53"},
		"systemd-resolved's":   {"nameserver 127.0.0.53\noptions edns0\n", "nameserver 168.63.129.16\n", "168.63.129.16"},
		"IPv6 first":           {"nameserver 2001:db8::53\nnameserver 192.0.2.53\n", "", "192.0.2.53"},
		"IPv6 alone":           {"nameserver 2001:db8::53\n", "", ""},
		"no systemd-resolved":  {"nameserver 127.0.0.1\n", "", ""},
		"nothing but loopback": {"nameserver 127.0.0.53\n", "nameserver 127.0.0.1\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			conf, resolved := filepath.Join(dir, "resolv.conf"), filepath.Join(dir, "resolved.conf")
			require.NoError(t, os.WriteFile(conf, []byte(c.conf), 0o644))
			if c.resolved != "" {
				require.NoError(t, os.WriteFile(resolved, []byte(c.resolved), 0o644))
			}
			got, err := resolver(conf, resolved)
			require.NoError(t, err)
			require.Equal(t, c.want != "", got.IsValid(), got)
			if c.want != "" {
				require.Equal(t, c.want, got.String())
			}
		})
	}
}

// What cannot be read is said.
func TestAnUnreadableUplink(t *testing.T) {
	t.Parallel()
	_, err := new(Run).uplink(filepath.Join(t.TempDir(), "none"))
	require.ErrorContains(t, err, "read the machine's resolvers")
}

// The advice for what needs LXD's machine is true for the call at hand.
func TestWhyTheMachineIsNotHere(t *testing.T) {
	t.Parallel()
	require.Contains(t, (&Run{Remote: vm.Remote{Address: "/run/lxd.socket"}}).notHere(), "--environments leaves out runner")
	require.Contains(t, (&Run{Remote: vm.Remote{Address: "https://192.0.2.1:8443"}}).notHere(), "LXD at https://192.0.2.1:8443 runs on another than this")
}
