package listen

import (
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// What is taken of dnsmasq's ranges is read from its options, its file of hosts and its leases,
// or libvirt's.
func TestPools(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	for name, text := range map[string]string{
		"leases":      "999 52:54:00:00:00:01 10.77.0.10 old *\n9999999999 52:54:00:00:00:02 10.77.0.11 new *\n0 52:54:00:00:00:03 10.77.0.12 * *\nduid 00:01\n9999999999 5 fd42::1 six 00:02\n9999999999 52:54:00:00:00:04 10.78.0.1 * *\n",
		"hosts":       "# of the network\n52:54:00:00:00:09,10.77.0.12,known\n52:54:00:00:00:08,set:a,10.77.0.13 # late\n",
		"virbr1.conf": "leasefile-ro\ninterface=virbr1\ndhcp-range=10.77.0.10,10.77.0.19,255.255.255.0\n",
		"virbr1.status": `[{"ip-address": "10.77.0.14", "mac-address": "52:54:00:00:00:05", "expiry-time": 9999999999},
			{"ip-address": "10.77.0.15", "expiry-time": 999}, {"ip-address": "x"}]`,
	} {
		require.NoError(t, os.WriteFile(filepath.Join(root, name), []byte(text), 0o600))
	}
	a := netip.MustParseAddr
	ten := Pool{First: a("10.77.0.10"), Last: a("10.77.0.19")}
	with := func(leased, reserved, taken int) []Pool {
		p := ten
		p.Leased, p.Reserved, p.Taken = leased, reserved, taken
		return []Pool{p}
	}
	for _, test := range []struct {
		args []string
		want []Pool
	}{
		{nil, nil},
		{[]string{"--dhcp-range=10.77.0.0,static"}, nil},
		{[]string{"--dhcp-range=fd42::,ra-only", "--dhcp-range=10.77.0.19,10.77.0.10"}, nil},
		{[]string{"--dhcp-range=set:a,10.77.0.10,10.77.0.19,255.255.255.0,1h"}, with(0, 0, 0)},
		{[]string{"--dhcp-range", "10.77.0.10,10.77.0.19", "--dhcp-leasefile=/leases"}, with(2, 0, 2)},
		{[]string{"--dhcp-range=10.77.0.10,10.77.0.19", "-l", "/leases", "--dhcp-hostsfile=/hosts", "--dhcp-host=52:54:00:00:00:07,10.77.0.16"}, with(2, 3, 4)},
		{[]string{"--conf-file=/virbr1.conf"}, with(1, 0, 1)},
	} {
		require.Equal(t, test.want, readDnsmasq(root, append([]string{"dnsmasq"}, test.args...)).pools, test.args)
	}
}

func FuzzPools(f *testing.F) {
	f.Add("set:a,10.77.0.10,10.77.0.19,1h", "52:54:00:00:00:09,10.77.0.12,known", "1001 52:54:00:00:00:02 10.77.0.11 new *")
	f.Fuzz(func(t *testing.T, value, host, text string) {
		reserved, leased := map[netip.Addr]bool{}, map[netip.Addr]bool{}
		reserve(host, reserved)
		lease(text, time.Unix(1000, 0), leased)
		p, ok := poolOf(value)
		if !ok {
			return
		}
		if p.count(leased, reserved); p.Last.Less(p.First) || p.Taken < max(p.Leased, p.Reserved) || p.Taken > p.Leased+p.Reserved {
			t.Fatalf("%+v", p)
		}
	})
}
