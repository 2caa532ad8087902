package realize

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path"
	"path/filepath"
	"slices"

	"github.com/nestlab/nestlab/scenario"
	"github.com/nestlab/nestlab/session"
	"github.com/nestlab/nestlab/vm"
)

// cacheDir is where a guest finds what was installed beforehand.
const cacheDir = "/var/cache/nestlab"

// instance is a scenario's LXD instance in the making.
type instance struct {
	*vm.Instance
	scenario scenario.Scenario
	// tuning is made in the guest once it takes commands.
	tuning vm.Tuning
	// proxy is the URL of the forward proxy that the guest is told; empty for none.
	proxy string
}

// container is a scenario's LXD instance, a virtual machine too.
func (m *Maker) container(s scenario.Scenario, environment string) session.Environment {
	base := m.Instance(environment)
	i := &instance{Instance: &base, scenario: s}
	i.At, i.With, i.Name = s.In(environment), s.Suites(), "nestlab-"+slug(s.In(environment))
	i.Config, i.Devices = maps.Clone(base.Config), maps.Clone(base.Devices)
	if i.Config == nil {
		i.Config = map[string]string{}
	}
	if i.Devices == nil {
		i.Devices = map[string]map[string]string{}
	}
	if s.Install != "" && !i.VM {
		// Docker in a container needs it.
		i.Config["security.nesting"] = "true"
	}
	i.Args = func(round string) []string {
		args := m.arguments(s, round)
		if i.proxy != "" {
			args = append(args, "--environment-proxy", i.proxy)
		}
		return args
	}
	i.Prepare = func(ctx context.Context, _ *vm.Instance) error { return m.prepare(ctx, i) }
	return &staged{Environment: i, before: func(ctx context.Context) (func(context.Context) error, error) {
		server, err := m.Connect(ctx)
		if err != nil {
			return nil, err
		}
		if err := m.sweep(ctx, server); err != nil {
			return nil, err
		}
		return m.change(ctx, server, i)
	}}
}

// change makes the one thing that the scenario differs in.
func (m *Maker) change(ctx context.Context, server vm.Server, i *instance) (func(context.Context) error, error) {
	switch i.scenario.Name {
	case scenario.IPv4Only:
		i.NoIPv6 = true
		return m.bridge(ctx, server, i, map[string]string{"ipv6.address": "none", "ipv6.nat": ""}, nil)
	case scenario.TunedMTU:
		return m.bridge(ctx, server, i, map[string]string{"bridge.mtu": "1400"}, nil)
	case scenario.TunedNAT:
		return m.bridge(ctx, server, i, map[string]string{"ipv4.nat": "false"}, nil)
	case scenario.TunedFirewall:
		return m.bridge(ctx, server, i, map[string]string{"ipv4.firewall": "false", "ipv6.firewall": "false"}, nil)
	case scenario.TunedDHCP:
		return m.bridge(ctx, server, i, map[string]string{"ipv4.dhcp.expiry": "1m"}, shortRange)
	case scenario.TunedDNS:
		if !m.Here {
			return nil, inapplicable("the resolver of LXD's machine is not known here: %s", m.NotHere)
		}
		if !m.Uplink.Resolver.IsValid() {
			return nil, inapplicable("the machine names no resolver that guests can ask: none by IPv4 that is not on its loopback")
		}
		return m.bridge(ctx, server, i, map[string]string{"raw.dnsmasq": "dhcp-option=6," + m.Uplink.Resolver.String()}, nil)
	case scenario.Proxy:
		return m.forwardProxy(ctx, server, i)
	case scenario.ProxyDevice:
		return nil, m.proxyDevices(ctx, i)
	case scenario.Macvlan:
		return nil, m.macvlan(i)
	case scenario.Routed:
		return nil, m.routed(i)
	case scenario.Cached:
		if len(m.Packages) == 0 {
			return nil, inapplicable("no packages were given to install beforehand (--cache DIR takes them)")
		}
	case scenario.ConvenienceScript:
		if m.Script == "" {
			return nil, inapplicable("no script is known (--script URL)")
		}
	}
	return nil, nil
}

// shortRange is fifty addresses of the bridge's network.
func shortRange(own netip.Prefix) map[string]string {
	first := own.Masked().Addr().As4()
	first[3] += 100
	last := first
	last[3] += 49
	return map[string]string{"ipv4.dhcp.ranges": fmt.Sprintf("%s-%s", netip.AddrFrom4(first), netip.AddrFrom4(last))}
}

// prepare puts into the guest what it has beforehand, and tunes it.
func (m *Maker) prepare(ctx context.Context, i *instance) error {
	if len(i.tuning.Arguments()) > len((vm.Tuning{}).Arguments()) {
		if err := i.Tune(ctx, i.tuning); err != nil {
			return err
		}
	}
	if i.scenario.Install == "" {
		return nil
	}
	made := map[string]bool{}
	for _, to := range slices.Sorted(maps.Keys(m.Files)) {
		if err := put(ctx, i, m.Files[to], to, made); err != nil {
			return err
		}
	}
	if i.scenario.Name != scenario.Cached {
		return nil
	}
	files := slices.Clone(m.Packages)
	if m.Images != nil {
		images, err := m.Images(ctx)
		if err != nil {
			return fmt.Errorf("have the images to install beforehand: %w", err)
		}
		files = append(files, images...)
	}
	for _, from := range files {
		if err := put(ctx, i, from, path.Join(cacheDir, filepath.Base(from)), made); err != nil {
			return err
		}
	}
	return nil
}

// put pushes a file and makes its directory first, from the root on. Those that
// were made already are in made.
func put(ctx context.Context, i *instance, from, to string, made map[string]bool) (err error) {
	var missing []string
	for dir := path.Dir(to); dir != "/" && !made[dir]; dir = path.Dir(dir) {
		missing = append(missing, dir)
	}
	for _, dir := range slices.Backward(missing) {
		if err := i.MakeDirectory(ctx, dir); err != nil {
			return err
		}
		made[dir] = true
	}
	f, err := os.Open(from)
	if err != nil {
		return fmt.Errorf("read what %s is to have: %w", i.Name, err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return i.Push(ctx, to, 0o644, f)
}
