package dind_test

import (
	"encoding/json"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/dind"
	"github.com/nestlab/nestlab/spec"
)

// machine is an ordinary one.
func machine() dind.Machine {
	return dind.Machine{
		Docker: 26, Uplink: "eth0", MTU: 1500, Driver: spec.Overlay2, DriverWhy: "it works",
		Networks: []netip.Prefix{netip.MustParsePrefix("172.17.0.0/16")},
	}
}

// configured is the configuration file as dockerd reads it.
func configured(t *testing.T, d spec.Docker, m dind.Machine) (string, string) {
	t.Helper()
	settings, choices, err := dind.Configure(d, m)
	require.NoError(t, err)
	text, err := json.Marshal(settings)
	require.NoError(t, err)
	return string(text), strings.Join(choices, "\n")
}

// Every option has an effect on the file, and a line that says so.
func TestConfigure(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name       string
		change     func(*spec.Docker, *dind.Machine)
		want, says string
	}{
		{"nothing", func(*spec.Docker, *dind.Machine) {},
			`{"default-address-pools":[{"base":"10.213.0.0/16","size":24}],"storage-driver":"overlay2"}`, "MTU 1500: that of eth0"},
		{"driver", func(_ *spec.Docker, m *dind.Machine) { m.Driver, m.DriverWhy = spec.VFS, "as given" },
			`{"default-address-pools":[{"base":"10.213.0.0/16","size":24}],"storage-driver":"vfs"}`, "storage driver vfs: as given"},
		{"mtu", func(d *spec.Docker, _ *dind.Machine) { d.MTU = 1400 },
			`{"default-address-pools":[{"base":"10.213.0.0/16","size":24}],"default-network-opts":{"bridge":{"com.docker.network.driver.mtu":"1400"}},"mtu":1400,"storage-driver":"overlay2"}`, "MTU 1400, of user-defined networks too: as given"},
		{"mtu of the uplink", func(_ *spec.Docker, m *dind.Machine) { m.MTU = 1450 },
			`{"default-address-pools":[{"base":"10.213.0.0/16","size":24}],"default-network-opts":{"bridge":{"com.docker.network.driver.mtu":"1450"}},"mtu":1450,"storage-driver":"overlay2"}`, "that of eth0"},
		{"mtu of an old Docker", func(d *spec.Docker, m *dind.Machine) { d.MTU, m.Docker = 1400, 20 },
			`{"default-address-pools":[{"base":"10.213.0.0/16","size":24}],"mtu":1400,"storage-driver":"overlay2"}`, "--opt com.docker.network.driver.mtu=1400"},
		{"mtu too large", func(d *spec.Docker, m *dind.Machine) { d.MTU, m.MTU = 1500, 1400 },
			`{"default-address-pools":[{"base":"10.213.0.0/16","size":24}],"storage-driver":"overlay2"}`, "eth0 takes 1400: larger packets may vanish"},
		{"jumbo frames", func(_ *spec.Docker, m *dind.Machine) { m.MTU = 9000 },
			`{"default-address-pools":[{"base":"10.213.0.0/16","size":24}],"storage-driver":"overlay2"}`, "eth0 takes 9000, but"},
		{"no uplink", func(_ *spec.Docker, m *dind.Machine) { m.MTU, m.Uplink = 0, "" },
			`{"default-address-pools":[{"base":"10.213.0.0/16","size":24}],"storage-driver":"overlay2"}`, "no default route"},
		{"pools", func(d *spec.Docker, _ *dind.Machine) { d.AddressPools = []string{"10.1.0.0/16", "10.2.3.0/24"} },
			`{"default-address-pools":[{"base":"10.1.0.0/16","size":24},{"base":"10.2.3.0/24","size":24}],"storage-driver":"overlay2"}`, "10.1.0.0/16, 10.2.3.0/24 in networks of /24: as given"},
		{"pools in use", func(_ *spec.Docker, m *dind.Machine) {
			m.Networks = []netip.Prefix{netip.MustParsePrefix("10.213.7.0/24"), netip.MustParsePrefix("10.214.0.53/32")}
		}, `{"default-address-pools":[{"base":"10.215.0.0/16","size":24}],"storage-driver":"overlay2"}`, "10.214.0.53/32"},
		{"mirrors", func(d *spec.Docker, _ *dind.Machine) { d.Mirrors = []string{"http://m:5000"} },
			`{"default-address-pools":[{"base":"10.213.0.0/16","size":24}],"registry-mirrors":["http://m:5000"],"storage-driver":"overlay2"}`, "by way of http://m:5000"},
		{"insecure", func(d *spec.Docker, _ *dind.Machine) { d.Insecure = []string{"r:5000"} },
			`{"default-address-pools":[{"base":"10.213.0.0/16","size":24}],"insecure-registries":["r:5000"],"storage-driver":"overlay2"}`, "without TLS too: r:5000"},
	} {
		d, m := spec.NewDocker(), machine()
		c.change(&d, &m)
		file, choices := configured(t, d, m)
		require.Equal(t, c.want, file, c.name)
		require.Contains(t, choices, c.says, c.name)
	}
	m := machine()
	m.Networks = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	_, _, err := dind.Configure(spec.NewDocker(), m)
	require.ErrorContains(t, err, "--address-pool")
}
