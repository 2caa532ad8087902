package host

import (
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/scenario"
	"github.com/nestlab/nestlab/session"
	"github.com/nestlab/nestlab/spec"
	"github.com/nestlab/nestlab/spec/targets"
	"github.com/nestlab/nestlab/vm"
)

// asked is a run on an LXD with an image.
func asked(remote vm.Remote, environments []string, scenarios ...string) *Run {
	r := &Run{Request: spec.NewHostRun(), Remote: remote}
	r.Request.Image, r.Request.Environments, r.Request.Scenarios, r.Request.Member = "x", environments, scenarios, remote.Member
	return r
}

// plain are the environments of a plan that are there without a scenario.
func plain(p model.Plan) []string {
	all := []string{}
	for _, row := range p.Items {
		if row.Scenario == "" {
			all = append(all, row.Environment)
		}
	}
	return all
}

// The machine itself is among what is observed by default only where it is LXD's.
func TestRunIsOfOneMachine(t *testing.T) {
	t.Parallel()
	https := func(address string) vm.Remote { return vm.Remote{Address: address, ClientCert: "c", ClientKey: "k"} }
	instances := []string{model.EnvLXDContainer, model.EnvLXDVM}
	all := append([]string{model.EnvRunner}, instances...)
	for name, c := range map[string]struct {
		remote             vm.Remote
		all, withScenarios []string
	}{
		"a socket":       {vm.Remote{Address: "/run/lxd.socket"}, all, []string{model.EnvRunner}},
		"this very host": {https("https://127.0.0.1:8443"), all, []string{model.EnvRunner}},
		"another host":   {https("https://192.0.2.1:8443"), instances, nil},
		"a name":         {https("https://lxd.example:8443"), instances, nil},
		"a member":       {vm.Remote{Address: "/run/lxd.socket", Member: "m2"}, instances, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := asked(c.remote, nil)
			require.NoError(t, r.Validate())
			require.Equal(t, c.all, plain(r.Plan()))
			r = asked(c.remote, nil, "baseline")
			require.NoError(t, r.Validate())
			require.ElementsMatch(t, c.withScenarios, plain(r.Plan()))
		})
	}
}

// guestDir has the names of a guest's files.
func guestDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"vmlinuz", "initrd", "root.img"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), nil, 0o644))
	}
	return dir
}

// What is asked for decides which environments there are, and whether LXD is asked. What
// is planned is what runs.
func TestRunWithQEMUAlone(t *testing.T) {
	t.Parallel()
	guest := guestDir(t)
	all := []string{"runner", "lxd-container", "lxd-vm"}
	for name, c := range map[string]struct {
		guest        string
		scenarios    []string
		environments []string
		want         []string
		lxd          bool
	}{
		"default":          {"", nil, nil, all, true},
		"default, a guest": {guest, nil, nil, append(all, "qemu-bridge", "qemu-user"), true},
		"guests":           {guest, nil, []string{"qemu-user"}, []string{"qemu-user"}, false},
		"their scenarios":  {guest, []string{"nic-models/*", "ping"}, []string{"qemu-bridge"}, []string{"qemu-bridge"}, false},
		"cards":            {guest, []string{"nic-models"}, nil, []string{"runner"}, false},
		"both":             {guest, []string{"nic-models", "ping"}, nil, []string{"runner"}, true},
		"no guest":         {"", []string{"nic-models"}, nil, []string{"runner"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := asked(vm.Remote{Address: "/lxd.socket"}, c.environments, c.scenarios...)
			r.Guest = c.guest
			var err error
			r.Targets, err = targets.Builtin(targets.Live)
			require.NoError(t, err)
			require.NoError(t, r.Validate())
			require.Equal(t, c.want, plain(r.Plan()))
			require.Equal(t, c.lxd, spec.UsesLXD(r.Plan()))
			planned, err := r.Request.PlanOn(spec.Host{Guests: c.guest != ""})
			require.NoError(t, err)
			require.Equal(t, planned, r.Plan())

			r.guests.scratch = &vm.Scratch{Dir: t.TempDir()}
			lanes, err := r.lanes()
			require.NoError(t, err)
			require.ElementsMatch(t, run(planned), session.Items(lanes))
		})
	}
}

// run are the rows that are not skipped.
func run(p model.Plan) (rows []model.PlanItem) {
	for _, row := range p.Items {
		if row.Skip == "" {
			rows = append(rows, row)
		}
	}
	return rows
}

// Scenarios that no guest is there for are skipped with the next step.
func TestRunSkipsScenariosWithoutAGuest(t *testing.T) {
	t.Parallel()
	r := asked(vm.Remote{Address: "/lxd.socket"}, []string{"runner"}, scenario.UserMode)
	require.NoError(t, r.Validate())
	require.Len(t, run(r.Plan()), 1)
	require.Equal(t, "it needs qemu-user, which is not available, or not selected: give --guest DIR, which `dagger call guest export --path DIR` makes", r.Plan().Items[1].Skip)
}

// What is asked of the instances is the instances'.
func TestInstance(t *testing.T) {
	t.Parallel()
	r := asked(vm.Remote{Address: "/lxd.socket"}, nil)
	r.Request.Family, r.Request.Devices, r.Request.Network = spec.FamilyV4, []string{"eth0,mtu=1400"}, "br7"
	require.NoError(t, r.Validate())
	i := r.instance(model.EnvLXDVM)
	require.True(t, i.NoIPv6)
	require.True(t, i.VM)
	require.Equal(t, map[string]map[string]string{"eth0": {"mtu": "1400"}}, i.DeviceKeys)
	require.Equal(t, "br7", i.Network)
	r.Request.Family = spec.FamilyAll
	require.False(t, r.instance(model.EnvLXDContainer).NoIPv6)
}

// A resolver on loopback is not one for guests; systemd-resolved says elsewhere
// which it asks.
func TestResolverForGuests(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
		return path
	}
	stub, real := file("stub", "nameserver 127.0.0.53\n"), file("real", "nameserver 192.0.2.53\n")
	for _, c := range []struct {
		files []string
		want  netip.Addr
	}{
		{[]string{stub, real}, netip.MustParseAddr("192.0.2.53")},
		{[]string{real, stub}, netip.MustParseAddr("192.0.2.53")},
		{[]string{stub, filepath.Join(dir, "none")}, netip.Addr{}},
	} {
		got, err := resolver(c.files...)
		require.NoError(t, err)
		require.Equal(t, c.want, got)
	}
	_, err := resolver(filepath.Join(dir, "none"), real)
	require.Error(t, err)
}
