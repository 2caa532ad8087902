package main

import (
	"context"
	"fmt"
	"io"
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

// scenarioLane is the lane of the scenarios that were asked for, and the rows that
// are not run. They are tried in containers and virtual machines alike, unless
// --environments names one of them alone.
func (v *vmRun) scenarioLane(self string, targets *probe.Targets, progress io.Writer) ([]session.Environment, []model.PlanItem, error) {
	chosen, err := scenario.Select(v.scenarios)
	if err != nil || len(chosen) == 0 {
		return nil, nil, err
	}
	m := &realize.Maker{
		Connect: v.connect, Instance: func(environment string) vm.Instance { return v.instance(self, environment) },
		Here: v.wants(model.EnvRunner), Targets: targets, Script: v.script, Journal: scenarioJournal, Progress: progress,
	}
	if m.Here {
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
	available := slices.DeleteFunc([]string{model.EnvLXDContainer, model.EnvLXDVM}, func(e string) bool {
		return (v.wants(model.EnvLXDContainer) || v.wants(model.EnvLXDVM)) && !v.wants(e)
	})
	lane, _, skipped := m.Environments(chosen, available)
	return lane, skipped, nil
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
	// A resolver on loopback (systemd-resolved's) is not one for guests.
	conf, err := dns.ClientConfigFromFile(probe.DefaultResolvConf)
	if err != nil {
		return u, fmt.Errorf("read the resolvers: %w", err)
	}
	for _, s := range conf.Servers {
		if a, err := netip.ParseAddr(s); err == nil && !a.IsLoopback() {
			u.Resolver = a
			break
		}
	}
	return u, nil
}
