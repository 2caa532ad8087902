package host

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/nestlab/nestlab/observe/probe"
	"github.com/nestlab/nestlab/scenario/realize"
	"github.com/nestlab/nestlab/spec"
)

// scenarios makes the places of scenarios.
func (r *Run) scenarios() (*realize.Maker, error) {
	m := &realize.Maker{
		Connect: r.connect, Instance: r.instance, Machine: r.machine, Here: r.here(), NotHere: r.notHere(),
		Retries: r.Request.Retries, Targets: r.Targets, Script: r.Request.Script, Journal: r.Proxies, Progress: r.Progress,
	}
	var err error
	// QEMU's guests are always on this machine, LXD's may not be.
	if len(r.Request.Scenarios) > 0 && (m.Here || !spec.UsesLXD(r.plan)) {
		if m.Uplink, err = r.uplink(probe.DefaultResolvConf, resolvedConf); err != nil {
			return nil, err
		}
	}
	if r.Cache != "" {
		if m.Packages, err = filepath.Glob(filepath.Join(r.Cache, "*.deb")); err != nil {
			return nil, fmt.Errorf("look for packages in %s: %w", r.Cache, err)
		}
		m.Images = func(context.Context) ([]string, error) { return filepath.Glob(filepath.Join(r.Cache, "*.tar")) }
	}
	return m, nil
}

// notHere is why nothing is known of LXD's machine where runner is not among the
// environments.
func (r *Run) notHere() string {
	if elsewhere := r.Remote.Elsewhere(); elsewhere != "" {
		return fmt.Sprintf("%s than this; run nestlab vm run there, at LXD's own socket", elsewhere)
	}
	return "--environments leaves out runner, which only nestlab vm run on LXD's own machine can have"
}
