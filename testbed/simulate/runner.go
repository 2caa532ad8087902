package simulate

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/nestlab/nestlab/dind"
	"github.com/nestlab/nestlab/host"
	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/owner"
	"github.com/nestlab/nestlab/remedy"
	"github.com/nestlab/nestlab/remedy/catalogue"
	"github.com/nestlab/nestlab/session"
	"github.com/nestlab/nestlab/spec"
	"github.com/nestlab/nestlab/testbed/world"
	"github.com/nestlab/nestlab/testbed/world/faults"
	"github.com/nestlab/nestlab/vm"
)

const (
	lxdSocket = "/var/lib/lxd/unix.socket"
	lxdAlias  = "nestlab"
)

// runner is the simulated runner's software: the two daemons, in their order.
type runner struct {
	config Config
	// plan is that of the request.
	plan model.Plan
	// settings are what the daemons start with, on top of the usual.
	settings faults.Settings
	docker   *dind.Daemon
	lxd      *vm.Daemon
	// accelerator is how guests run, found out once.
	accelerator *vm.Accelerator
	once        sync.Once
	pulse       *session.Pulse
}

// begin takes the request, which says nothing of faults, and starts the daemons for it.
func (r *runner) begin(ctx context.Context, b begin) (err error) {
	if r.config.Request, err = spec.Decode[spec.Simulation](bytes.NewReader(b.Request)); err != nil {
		return err
	}
	if r.plan, err = r.config.Request.Plan(); err != nil {
		return err
	}
	r.settings = b.Settings
	return r.start(ctx)
}

// start brings both daemons up. One that does not come up is no reason to stop:
// the environments that need it will say so, and the others are still observed.
func (r *runner) start(ctx context.Context) error {
	r.pulse = session.NewPulse(r.config.Progress)
	steps := []step{{"dockerd", r.startDocker}, {"lxd", r.startLXD}}
	if r.config.Request.Order == spec.LXDFirst {
		slices.Reverse(steps)
	}
	return inTurn(ctx, r.pulse, steps)
}

// step is the start of a daemon.
type step struct {
	daemon string
	start  func(context.Context) error
}

// inTurn starts one daemon after the other, and says every minute which it waits for:
// in an emulated machine each may take minutes.
func inTurn(ctx context.Context, pulse *session.Pulse, steps []step) error {
	defer pulse.Beat()()
	var errs []error
	for _, s := range steps {
		done := pulse.Waiting("starting %s", s.daemon)
		errs = append(errs, s.start(ctx))
		done()
	}
	return errors.Join(errs...)
}

func (r *runner) startDocker(ctx context.Context) error {
	settings, err := dind.Settings()
	if err != nil {
		return err
	}
	shim, needed, err := world.DockerRuntime(r.config.State)
	if err != nil {
		return err
	}
	if needed {
		for key, value := range shim {
			settings[key] = value
		}
	}
	if r.config.Request.IPv6 {
		settings["ipv6"], settings["fixed-cidr-v6"] = true, dockerSubnet6
	}
	maps.Copy(settings, r.settings.Docker)
	if err := r.trustRegistry(); err != nil {
		return err
	}
	r.docker = &dind.Daemon{
		Settings: settings, Dir: filepath.Join(r.config.State, "dockerd"), Containerd: r.config.InMachine,
		// Where dockerd's configuration is on every runner, for remedies to find it.
		Config: catalogue.DaemonFile,
	}
	err = r.docker.Start(ctx, r.config.wait(time.Minute))
	r.say("dockerd", err)
	return err
}

// trustRegistry gives dockerd the simulated internet's authority for its registry.
func (r *runner) trustRegistry() error {
	ca, err := os.ReadFile(r.config.ca)
	if err != nil {
		return fmt.Errorf("read the simulated internet's certificate authority: %w", err)
	}
	dir := filepath.Join(r.certs(), spec.Registry)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make the directory of the registry's certificate: %w", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "ca.crt"), ca, 0o644); err != nil {
		return fmt.Errorf("trust the simulated registry: %w", err)
	}
	return nil
}

func (r *runner) certs() string { return "/etc/docker/certs.d" }

func (r *runner) startLXD(ctx context.Context) error {
	// QEMU's guests are on LXD's bridge, and what stands in for guests.
	onBridge := spec.Runs(r.plan, model.EnvQEMUBridge) || spec.Runs(r.plan, model.EnvBridge)
	if tries := len(r.config.Request.Scenarios) > 0; !tries && !spec.UsesLXD(r.plan) && !onBridge {
		return nil
	}
	r.lxd = &vm.Daemon{
		Socket: lxdSocket, Dir: filepath.Join(r.config.State, "lxd"),
		Image: filepath.Join(r.config.Assets, "lxd.tar"), Alias: lxdAlias, Subnet: cmp.Or(r.settings.Subnet, lxdSubnet),
		IPv6:  r.ipv6(),
		Limit: r.config.wait(time.Minute),
	}
	if r.wantsVM() && r.noVirtualMachines(ctx) == "" {
		r.lxd.VM, r.lxd.VMAlias = r.lxdVMImage(), lxdVMAlias
		if err := os.MkdirAll(r.first(), 0o755); err != nil {
			err = fmt.Errorf("make the directory that LXD's virtual machines boot with: %w", err)
			r.say("lxd", err)
			return err
		}
	}
	err := r.lxd.Start(ctx)
	r.say("lxd", err)
	return err
}

// ipv6 is what LXD's bridge has of IPv6.
func (r *runner) ipv6() string {
	switch {
	case r.config.Request.IPv6:
		return lxdSubnet6
	case len(r.config.Request.Scenarios) > 0:
		return vm.IPv6Auto // a stock bridge, for scenarios to differ from
	}
	return ""
}

func (r *runner) say(daemon string, err error) {
	if err != nil {
		r.pulse.Say("%s did not start: %v", daemon, err)
		return
	}
	r.pulse.Say("%s is up", daemon)
}

func (r *runner) stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	var errs []error
	if r.lxd != nil {
		errs = append(errs, r.lxd.Stop(ctx))
	}
	if r.docker != nil {
		errs = append(errs, r.docker.Stop())
	}
	return errors.Join(errs...)
}

// session puts together what a plan says, and looks with these targets.
func (r *runner) session(plan model.Plan, targets []byte) (*session.Session, error) {
	lanes, err := r.lanes(plan, targets)
	if err != nil {
		return nil, err
	}
	me, err := owner.Self("")
	if err != nil {
		return nil, err
	}
	changes := remedy.Host{Journal: filepath.Join(r.config.State, "remedies.json"), RestartDocker: r.restartDocker, Owner: &me}
	return &session.Session{
		ID: me.Run, Lanes: lanes, Targets: targets, Platform: plan.Platform, Retries: r.config.Request.Retries, ProbeTimeout: r.config.wait(probeTimeout),
		StartTimeout: r.config.wait(session.DefaultStartTimeout), ChangeTimeout: r.config.wait(session.DefaultChangeTimeout),
		// An emulated runner's KVM is emulated too, and several guests at once crash it.
		Turns: r.config.InMachine,
		Host:  host.Here(changes, plan.Intervene), Progress: r.config.Progress,
	}, nil
}

// restartDocker is for remedies in the configuration of the daemon that is
// supervised here.
func (r *runner) restartDocker(ctx context.Context) error {
	if r.docker == nil {
		return errors.New("there is no dockerd here")
	}
	return r.docker.Restart(ctx)
}

// instance is an LXD instance as it is without a scenario.
func (r *runner) instance(environment string) vm.Instance {
	if environment == model.EnvLXDVM {
		return r.virtualInstance()
	}
	return vm.Instance{
		At:      model.Place{Environment: environment},
		Connect: r.connect, Name: "nestlab-c1", Image: lxdAlias, Network: vm.Bridge, Pool: "default",
		Binary: r.config.binary, Ready: r.config.wait(5 * time.Minute), Patience: r.config.slowness(),
	}
}
