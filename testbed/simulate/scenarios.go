package simulate

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/nestlab/nestlab/dind"
	"github.com/nestlab/nestlab/scenario/realize"
	"github.com/nestlab/nestlab/spec"
	"github.com/nestlab/nestlab/spec/targets"
	"github.com/nestlab/nestlab/testbed/world"
	"github.com/nestlab/nestlab/testbed/world/internet"
	"github.com/nestlab/nestlab/vm"
)

// free are addresses of the runner's network that nobody has: for a container and a
// virtual machine of both scenarios that need one.
var free = []netip.Prefix{
	netip.MustParsePrefix("198.51.100.222/24"), netip.MustParsePrefix("198.51.100.223/24"),
	netip.MustParsePrefix("198.51.100.224/24"), netip.MustParsePrefix("198.51.100.225/24"),
}

// scenarios makes the places of scenarios, which are probed against these targets.
func (r *runner) scenarios(targets *targets.Set) (*realize.Maker, error) {
	packages, err := filepath.Glob(filepath.Join(r.config.Assets, "apt", "pool", "*.deb"))
	if err != nil {
		return nil, fmt.Errorf("look for Docker's packages: %w", err)
	}
	return &realize.Maker{
		Connect: r.connect, Instance: r.instance, Machine: r.machine, Here: true,
		Uplink:  realize.Uplink{Interface: world.RunnerLink, Free: free, Gateway: internet.Gateway, Resolver: internet.Resolver},
		Retries: r.config.Request.Retries, Daemon: r.config.wait(dind.GuestDaemon), Targets: targets, Script: "https://" + internet.Get + "/", Packages: packages, Images: r.helloImage,
		Files:   map[string]string{filepath.Join(r.certs(), spec.Registry, "ca.crt"): r.config.ca},
		Journal: filepath.Join(r.config.State, "scenarios.json"), Progress: r.config.Progress,
	}, nil
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
	return []string{path}, dind.Save(ctx, "unix://"+dind.DefaultSocket, spec.HelloImage, path)
}
