package simulate

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/nestlab/nestlab/dind"
	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/probe"
	"github.com/nestlab/nestlab/scenario"
	"github.com/nestlab/nestlab/scenario/realize"
	"github.com/nestlab/nestlab/session"
	"github.com/nestlab/nestlab/vm"
	"github.com/nestlab/nestlab/world"
	"github.com/nestlab/nestlab/world/internet"
)

// scenarioEnvironments are those that a simulation can try scenarios in: LXD's virtual
// machine by its name only.
func (r *runner) scenarioEnvironments() []string {
	all := []string{model.EnvLXDContainer, model.EnvQEMUBridge, model.EnvQEMUUser}
	if r.wantsVM() {
		all = append(all, model.EnvLXDVM)
	}
	return slices.DeleteFunc(all, func(e string) bool {
		return len(r.config.Environments) > 0 && !slices.Contains(r.config.Environments, e)
	})
}

// free are addresses of the runner's network that nobody has: for a container and a
// virtual machine of both scenarios that need one.
var free = []netip.Prefix{
	netip.MustParsePrefix("198.51.100.222/24"), netip.MustParsePrefix("198.51.100.223/24"),
	netip.MustParsePrefix("198.51.100.224/24"), netip.MustParsePrefix("198.51.100.225/24"),
}

// scenarios are the lanes of the scenarios that were asked for, and the rows that
// are not run: LXD's instances one after the other, and QEMU's guests.
func (r *runner) scenarios(targets *probe.Targets) (lanes [][]session.Environment, skipped []model.PlanItem, err error) {
	chosen, err := scenario.Select(r.config.Scenarios)
	if err != nil || len(chosen) == 0 {
		return nil, nil, err
	}
	packages, err := filepath.Glob(filepath.Join(r.config.Assets, "apt", "pool", "*.deb"))
	if err != nil {
		return nil, nil, fmt.Errorf("look for Docker's packages: %w", err)
	}
	m := &realize.Maker{
		Connect: r.connect, Instance: r.instance, Machine: r.machine, Here: true,
		Uplink:  realize.Uplink{Interface: world.RunnerLink, Free: free, Gateway: internet.Gateway, Resolver: internet.Resolver},
		Retries: r.config.Retries, Daemon: r.config.wait(dind.GuestDaemon), Targets: targets, Script: "https://" + internet.Get + "/", Packages: packages, Images: r.helloImage,
		Files:   map[string]string{filepath.Join(r.certs(), registry, "ca.crt"): r.config.ca},
		Journal: filepath.Join(r.config.State, "scenarios.json"), Progress: r.config.Progress,
	}
	lxd, qemu, skipped := m.Environments(chosen, r.scenarioEnvironments())
	return [][]session.Environment{lxd, qemu}, skipped, nil
}

func (r *runner) connect(ctx context.Context) (vm.Server, error) {
	return vm.Connect(ctx, lxdSocket, r.config.wait(30*time.Second))
}

// helloImage saves the image of the docker suite, from the runner's Docker.
func (r *runner) helloImage(ctx context.Context) ([]string, error) {
	dir := filepath.Join(r.config.State, "images")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("make a directory for images: %w", err)
	}
	path := filepath.Join(dir, "hello.tar")
	return []string{path}, dind.Save(ctx, "unix://"+dind.DefaultSocket, helloRef, path)
}
