package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"path/filepath"
	"slices"

	"github.com/miekg/dns"
	"github.com/vishvananda/netlink"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/probe"
	"github.com/nestlab/nestlab/scenario"
	"github.com/nestlab/nestlab/scenario/realize"
	"github.com/nestlab/nestlab/session"
	"github.com/nestlab/nestlab/vm"
)

// scenarioJournal is where the host step writes proxies down, beside what
// `nestlab remedy` does.
const scenarioJournal = "/var/lib/nestlab/scenarios.json"

// scenarioLanes are the lanes of the scenarios that were asked for, LXD's and QEMU's,
// and the rows that are not run.
func (v *vmRun) scenarioLanes(self string, targets *probe.Targets, progress io.Writer) ([][]session.Environment, []model.PlanItem, error) {
	chosen, err := scenario.Select(v.scenarios)
	if err != nil || len(chosen) == 0 {
		return nil, nil, err
	}
	m := &realize.Maker{
		Connect: v.connect, Instance: func(environment string) vm.Instance { return v.instance(self, environment) },
		Machine: v.guests.machine,
		Here:    v.wants(model.EnvRunner), Targets: targets, Script: v.script, Journal: scenarioJournal, Progress: progress,
	}
	lxd, err := v.wantsLXD()
	if err != nil {
		return nil, nil, err
	}
	// QEMU's guests are always on this machine, LXD's may not be.
	if m.Here || !lxd {
		if m.Uplink, err = v.uplink(); err != nil {
			return nil, nil, err
		}
	}
	if v.cache != "" {
		if m.Packages, err = filepath.Glob(filepath.Join(v.cache, "*.deb")); err != nil {
			return nil, nil, fmt.Errorf("look for packages in %s: %w", v.cache, err)
		}
		m.Images = func(context.Context) ([]string, error) { return filepath.Glob(filepath.Join(v.cache, "*.tar")) }
	}
	instances, machines, skipped := m.Environments(chosen, v.guestEnvironments())
	return [][]session.Environment{instances, machines}, v.guests.explain(skipped), nil
}

// guestEnvironments are those that scenarios are tried in: the ones that
// --environments names, or else all that are to be had.
func (v *vmRun) guestEnvironments() []string {
	all := slices.Clone(lxdEnvironments)
	if v.guests.dir != "" {
		all = append(all, qemuEnvironments...)
	}
	named := slices.DeleteFunc(slices.Clone(all), func(e string) bool { return !v.wants(e) })
	if len(named) > 0 {
		return named
	}
	return all
}

// wantsLXD reports whether an environment or a scenario makes an instance of LXD's.
func (v *vmRun) wantsLXD() (bool, error) {
	chosen, err := scenario.Select(v.scenarios)
	if err != nil {
		return false, err
	}
	return v.instances() || slices.ContainsFunc(scenario.Items(chosen, v.guestEnvironments()), func(i model.PlanItem) bool {
		return i.Skip == "" && slices.Contains(lxdEnvironments, i.Environment)
	}), nil
}

// uplink is what the machine itself says of its network.
func (v *vmRun) uplink() (realize.Uplink, error) {
	var u realize.Uplink
	for _, text := range v.free {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return u, fmt.Errorf("--free-address %s: %w", text, err)
		}
		u.Free = append(u.Free, p)
	}
	routes, err := netlink.RouteListFiltered(netlink.FAMILY_V4, &netlink.Route{Dst: nil}, netlink.RT_FILTER_DST)
	if err != nil {
		return u, fmt.Errorf("list the default routes: %w", err)
	}
	if len(routes) > 0 {
		link, err := netlink.LinkByIndex(routes[0].LinkIndex)
		if err != nil {
			return u, fmt.Errorf("find the interface of the default route: %w", err)
		}
		u.Interface = link.Attrs().Name
		u.Gateway, _ = netip.AddrFromSlice(routes[0].Gw.To4()) // none on a point-to-point link
	}
	u.Resolver, err = resolver(probe.DefaultResolvConf, resolvedConf)
	return u, err
}

// resolvedConf is where systemd-resolved names the resolvers that it asks.
const resolvedConf = "/run/systemd/resolve/resolv.conf"

// resolver is the first that guests can ask too: one on loopback, such as
// systemd-resolved's own, is not. The files are those that name some; the first has
// to be there.
func resolver(files ...string) (netip.Addr, error) {
	for i, file := range files {
		conf, err := dns.ClientConfigFromFile(file)
		if i > 0 && errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return netip.Addr{}, fmt.Errorf("read the resolvers: %w", err)
		}
		for _, s := range conf.Servers {
			if a, err := netip.ParseAddr(s); err == nil && !a.IsLoopback() {
				return a, nil
			}
		}
	}
	return netip.Addr{}, nil
}
