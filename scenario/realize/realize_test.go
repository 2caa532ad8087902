package realize

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/canonical/lxd/client"
	"github.com/canonical/lxd/shared/api"
	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/scenario"
	"github.com/nestlab/nestlab/session"
	"github.com/nestlab/nestlab/spec/targets"
	"github.com/nestlab/nestlab/vm"
)

// fakeLXD keeps networks, and refuses instances. What a test does not expect to be
// called is nil, and panics.
type fakeLXD struct {
	vm.Server
	networks []api.Network
	made     []api.NetworksPost
	removed  []string
	asked    api.InstancesPost
	// clustered is an LXD that has members.
	clustered bool
}

var errFull = errors.New("no space left on device")

func (f *fakeLXD) IsClustered() bool                                     { return f.clustered }
func (f *fakeLXD) GetNetworks() ([]api.Network, error)                   { return f.networks, nil }
func (f *fakeLXD) GetOperations() ([]api.Operation, error)               { return nil, nil }
func (f *fakeLXD) GetInstances(api.InstanceType) ([]api.Instance, error) { return nil, nil }

func (f *fakeLXD) CreateInstance(i api.InstancesPost) (lxd.Operation, error) {
	f.asked = i
	return nil, errFull
}

func (f *fakeLXD) CreateNetwork(n api.NetworksPost) error {
	f.made = append(f.made, n)
	f.networks = append(f.networks, api.Network{Name: n.Name, Config: n.Config})
	return nil
}

func (f *fakeLXD) DeleteNetwork(name string) error {
	f.removed = append(f.removed, name)
	for i, n := range f.networks {
		if n.Name == name {
			f.networks = append(f.networks[:i], f.networks[i+1:]...)
			return nil
		}
	}
	return errors.New("no such network")
}

func maker(f *fakeLXD) *Maker {
	return &Maker{
		Connect: func(context.Context) (vm.Server, error) { return f, nil },
		Instance: func(environment string) vm.Instance {
			return vm.Instance{
				At: model.Place{Environment: environment}, Name: "base", Image: "nestlab", Network: "lxdbr0", Pool: "default",
				Config: map[string]string{"limits.memory": "1GiB"}, VM: environment == model.EnvLXDVM,
				Connect: func(context.Context) (vm.Server, error) { return f, nil },
			}
		},
		Progress: &bytes.Buffer{},
	}
}

func one(t *testing.T, m *Maker, name, environment string) session.Environment {
	t.Helper()
	made := all(t, m, []string{name}, environment)
	require.Len(t, made, 1)
	return made[0]
}

// all are the places of scenarios in some environments.
func all(t *testing.T, m *Maker, patterns []string, environments ...string) []session.Environment {
	t.Helper()
	chosen, err := scenario.Select(patterns)
	require.NoError(t, err)
	var made []session.Environment
	for _, row := range scenario.Items(chosen, environments) {
		require.Empty(t, row.Skip)
		env, err := m.Environment(row)
		require.NoError(t, err)
		require.Equal(t, row.Place, env.Place())
		made = append(made, env)
	}
	return made
}

func start(t *testing.T, e session.Environment) error {
	t.Helper()
	return e.Start(t.Context(), nil)
}

// The bridge that a scenario differs in is its own, marked, and goes with it,
// however the start ended.
func TestABridgeOfItsOwn(t *testing.T) {
	t.Parallel()
	f := &fakeLXD{networks: []api.Network{
		{Name: "lxdbr0"},
		{Name: "nl-left", Config: map[string]string{vm.Marker: "killed"}},
		{Name: "nl-used", Config: map[string]string{vm.Marker: "running"}, UsedBy: []string{"/1.0/instances/x"}},
	}}
	e := one(t, maker(f), scenario.TunedMTU, model.EnvLXDContainer)
	require.ErrorIs(t, start(t, e), errFull)
	require.Equal(t, []string{"nl-left"}, f.removed, "what a killed run left, and nothing that is in use or somebody else's")
	require.Len(t, f.made, 1)
	name := f.made[0].Name
	require.LessOrEqual(t, len(name), 15)
	require.Equal(t, map[string]string{
		"ipv4.address": "auto", "ipv4.nat": "true", "ipv6.address": "auto", "ipv6.nat": "true", "bridge.mtu": "1400",
		vm.Marker: "lxd-container@bridge-tuned/mtu",
	}, f.made[0].Config)
	require.Equal(t, name, f.asked.Devices["eth0"]["network"])
	require.Equal(t, "nestlab-lxd-container-bridge-tuned-mtu", f.asked.Name)
	require.Equal(t, "lxd-container@bridge-tuned/mtu", f.asked.Config[vm.Marker])
	require.Equal(t, "true", f.asked.Config["security.nesting"])
	require.Equal(t, "1GiB", f.asked.Config["limits.memory"])
	require.NoError(t, e.Stop(t.Context()))
	require.Equal(t, []string{"nl-left", name}, f.removed)
}

// A cluster takes a bridge only when each member has been told of it, and none of its
// addresses before: what needs one of its own is not tried, what does not is.
func TestNoBridgeOfItsOwnInACluster(t *testing.T) {
	t.Parallel()
	for _, s := range scenario.All() {
		if !slices.Contains(s.Environments, model.EnvLXDContainer) {
			continue
		}
		f := &fakeLXD{clustered: true}
		m := maker(f)
		m.Targets = &targets.Set{}
		m.Here, m.Journal, m.Uplink.Resolver = true, filepath.Join(t.TempDir(), "journal"), netip.MustParseAddr("192.0.2.53")
		e := one(t, m, s.Name, model.EnvLXDContainer)
		err := start(t, e)
		require.NoError(t, e.Stop(t.Context()))
		require.Empty(t, f.made, s.Name)
		family := s.Family() == "bridge-tuned" || s.Name == scenario.IPv4Only || s.Name == scenario.Proxy
		require.Equal(t, family, err != nil && strings.Contains(err.Error(), "cluster"), "%s: %v", s.Name, err)
		if family {
			require.ErrorAs(t, err, &session.Inapplicable{}, s.Name)
		}
	}
}

// A guest whose kernel is not there is skipped only where it is the stock one, which one
// may do without; that of all guests is missing by mistake.
func TestAKernelThatIsNotThere(t *testing.T) {
	t.Parallel()
	for name, skipped := range map[string]bool{scenario.E1000: true, scenario.VirtioNet: false, scenario.UserMode: false} {
		m := maker(&fakeLXD{})
		m.Machine = func(environment string, _ bool) vm.QEMU {
			return vm.QEMU{Image: vm.Image{Kernel: filepath.Join(t.TempDir(), "vmlinuz")}, Dir: t.TempDir()}
		}
		qemu := all(t, m, []string{name}, model.EnvQEMUBridge, model.EnvQEMUUser)
		require.Len(t, qemu, 1, name)
		err := start(t, qemu[0])
		require.ErrorContains(t, err, "no such file", name)
		require.Equal(t, skipped, errors.As(err, &session.Inapplicable{}), "%s: %v", name, err)
		require.NotEqual(t, skipped, errors.Is(err, fs.ErrNotExist), "%s: %v", name, err)
		require.Equal(t, skipped, strings.Contains(err.Error(), "stock kernel"), "%s: %v", name, err)
	}
}

// A network of the same name that is not nestlab's is left alone.
func TestABridgeOfSomebodyElse(t *testing.T) {
	t.Parallel()
	place := model.Place{Environment: model.EnvLXDContainer, Scenario: scenario.TunedMTU}
	f := &fakeLXD{networks: []api.Network{{Name: short(place)}}}
	e := one(t, maker(f), scenario.TunedMTU, model.EnvLXDContainer)
	require.ErrorContains(t, start(t, e), "not nestlab's")
	require.NoError(t, e.Stop(t.Context()))
	require.Empty(t, f.removed)
	require.Empty(t, f.made)
}

// What differs in nothing of LXD's uses the bridge that is there.
func TestNoBridgeOfItsOwn(t *testing.T) {
	t.Parallel()
	for _, name := range []string{scenario.Baseline, scenario.Retries, scenario.Snap, scenario.Ping} {
		f := &fakeLXD{}
		e := one(t, maker(f), name, model.EnvLXDVM)
		require.ErrorIs(t, start(t, e), errFull, name)
		require.Equal(t, "lxdbr0", f.asked.Devices["eth0"]["network"], name)
		require.NotContains(t, f.asked.Config, "security.nesting", "a virtual machine needs none")
		require.Empty(t, f.made, name)
	}
}

// What cannot be tried on a machine is skipped with the reason.
func TestInapplicable(t *testing.T) {
	t.Parallel()
	for name, why := range map[string]string{
		scenario.Cached: "--cache DIR takes them", scenario.ConvenienceScript: "no script", scenario.Proxy: "machine: why not here",
		scenario.Macvlan: "machine: why not here", scenario.Routed: "machine: why not here", scenario.TunedDNS: "resolver of LXD's machine is not known here: why not here",
	} {
		f := &fakeLXD{}
		m := maker(f)
		m.NotHere = "why not here"
		e := one(t, m, name, model.EnvLXDContainer)
		err := start(t, e)
		require.ErrorAs(t, err, &session.Inapplicable{}, name)
		require.ErrorContains(t, err, why)
		require.NoError(t, e.Stop(t.Context()))
		require.Empty(t, f.made, name)
	}
}

// Guests that live at the same time never have the same address. Who gets none is
// skipped with the reason, but for macvlan where none are known at all: DHCP may do.
func TestAddressesOfTheUplink(t *testing.T) {
	t.Parallel()
	for free, skipped := range []int{2, 3, 2, 1, 0} {
		m := maker(&fakeLXD{})
		m.Here, m.Uplink.Interface = true, "eth7"
		for n := range free {
			m.Uplink.Free = append(m.Uplink.Free, netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(10 + n)}), 24))
		}
		given := map[netip.Addr]bool{}
		lxd := all(t, m, []string{scenario.Macvlan, scenario.Routed}, model.EnvLXDContainer, model.EnvLXDVM)
		require.Len(t, lxd, 4)
		for _, e := range lxd {
			err := start(t, e)
			if errors.As(err, &session.Inapplicable{}) {
				require.ErrorContains(t, err, "--free-address")
				skipped--
				continue
			}
			require.ErrorIs(t, err, errFull)
			i := e.(*staged).Environment.(*instance)
			require.Equal(t, "eth7", i.Devices["eth0"]["parent"])
			if own := i.tuning.Address; free > 0 {
				require.True(t, own.IsValid(), i.At)
				require.False(t, given[own.Addr()], "%s is given twice, the second time to %s", own, i.At)
				given[own.Addr()] = true
			}
		}
		require.Zero(t, skipped, "of %d addresses", free)
	}
}

func TestArguments(t *testing.T) {
	t.Parallel()
	m := &Maker{Script: "https://get.lab.test/"}
	find := func(name string) scenario.Scenario {
		chosen, err := scenario.Select([]string{name})
		require.NoError(t, err)
		return chosen[0]
	}
	install := []string{"--install", "distro", "--install-script", "https://get.lab.test/", "--install-cache", cacheDir}
	require.Equal(t, install, m.arguments(find(scenario.Baseline), model.RoundBaseline))
	require.Equal(t, install, m.arguments(find(scenario.Baseline), "intervened-2"))
	require.Empty(t, m.arguments(find(scenario.Baseline), "reverted-2"), "it is there by then")
	m.Daemon = 3 * time.Minute
	require.Equal(t, append(slices.Clone(install), "--install-ready", "3m0s"), m.arguments(find(scenario.Baseline), model.RoundBaseline))
	m.Daemon = 0
	for of, want := range map[int]string{0: "3", 2: "5", 9: "10"} {
		m.Retries = of
		require.Equal(t, append([]string{"--retries", want}, install...), m.arguments(find(scenario.Retries), model.RoundBaseline), "on top of the run's %d", of)
	}
	require.Equal(t, []string{"--only", "dns-a,icmp-echo"}, m.arguments(find(scenario.Ping), model.RoundBaseline))
}

func TestSitesOfATargetSet(t *testing.T) {
	t.Parallel()
	set, err := targets.Builtin(targets.Simulated)
	require.NoError(t, err)
	require.Equal(t, []string{
		"archive.lab.test:80", "download.lab.test:443", "download.lab.test:80", "registry.lab.test:443",
	}, sitesOf(set))
}

func TestAddresses(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"172.17.0.1/16": "172.17.255.254", "10.77.0.1/24": "10.77.0.254", "192.0.2.1/30": "192.0.2.2",
	} {
		require.Equal(t, want, last(netip.MustParsePrefix(in)).String())
	}
	require.Equal(t, map[string]string{"ipv4.dhcp.ranges": "10.77.3.100-10.77.3.149"}, shortRange(netip.MustParsePrefix("10.77.3.1/24")))
}
