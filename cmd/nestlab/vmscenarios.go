package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"slices"

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
		return nil, nil, usageError(err)
	}
	m := &realize.Maker{
		Connect: v.connect, Instance: func(environment string) vm.Instance { return v.instance(self, environment) },
		Machine: v.guests.machine,
		Here:    v.wants(model.EnvRunner), NotHere: v.notHere(),
		Retries: v.retries, Targets: targets, Script: v.script, Journal: v.proxies, Progress: progress,
	}
	lxd, err := v.wantsLXD()
	if err != nil {
		return nil, nil, usageError(err)
	}
	// QEMU's guests are always on this machine, LXD's may not be.
	if m.Here || !lxd {
		if m.Uplink, err = v.uplink(probe.DefaultResolvConf, resolvedConf); err != nil {
			return nil, nil, err
		}
	}
	if v.cache != "" {
		if m.Packages, err = filepath.Glob(filepath.Join(v.cache, "*.deb")); err != nil {
			return nil, nil, usageError(fmt.Errorf("look for packages in %s: %w", v.cache, err))
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

// notHere is why nothing is known of LXD's machine where runner is not among the
// environments.
func (v *vmRun) notHere() string {
	if elsewhere := v.remote.Elsewhere(); elsewhere != "" {
		return fmt.Sprintf("%s than this; run nestlab vm run there, at LXD's own socket", elsewhere)
	}
	return "--environments leaves out runner, which only nestlab vm run on LXD's own machine can have"
}
