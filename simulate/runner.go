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
	"github.com/nestlab/nestlab/facts"
	"github.com/nestlab/nestlab/hops"
	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/owner"
	"github.com/nestlab/nestlab/probe"
	"github.com/nestlab/nestlab/remedy"
	"github.com/nestlab/nestlab/remedy/catalogue"
	"github.com/nestlab/nestlab/session"
	"github.com/nestlab/nestlab/vm"
	"github.com/nestlab/nestlab/world"
	"github.com/nestlab/nestlab/world/faults"
)

const (
	lxdSocket = "/var/lib/lxd/unix.socket"
	lxdAlias  = "nestlab"
)

// runner is the simulated runner's software: the two daemons, in their order.
type runner struct {
	config Config
	// settings are what the daemons start with, on top of the usual.
	settings faults.Settings
	docker   *dind.Daemon
	lxd      *vm.Daemon
	// accelerator is how guests run, found out once.
	accelerator *vm.Accelerator
	once        sync.Once
	pulse       *session.Pulse
}

// start brings both daemons up. One that does not come up is no reason to stop:
// the environments that need it will say so, and the others are still observed.
func (r *runner) start(ctx context.Context) error {
	r.pulse = session.NewPulse(r.config.Progress)
	steps := []step{{"dockerd", r.startDocker}, {"lxd", r.startLXD}}
	if r.config.Order == LXDFirst {
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
	maps.Copy(settings, r.settings.Docker)
	if err := r.trustRegistry(); err != nil {
		return err
	}
	r.docker = &dind.Daemon{
		Settings: settings, Dir: filepath.Join(r.config.State, "dockerd"), Containerd: r.config.Patience > 1,
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
	dir := filepath.Join(r.certs(), registry)
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
	if !r.wants(model.EnvLXDContainer) && !r.wants(model.EnvQEMUBridge) && !r.wantsVM() && len(r.config.Scenarios) == 0 {
		return nil
	}
	r.lxd = &vm.Daemon{
		Socket: lxdSocket, Dir: filepath.Join(r.config.State, "lxd"),
		Image: filepath.Join(r.config.Assets, "lxd.tar"), Alias: lxdAlias, Subnet: cmp.Or(r.settings.Subnet, lxdSubnet),
		// A stock bridge, for scenarios to differ from.
		IPv6:  len(r.config.Scenarios) > 0,
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

// wants reports whether an environment is wanted as it is: beside scenarios, only
// the control is unless more is asked for.
func (r *runner) wants(environment string) bool {
	if len(r.config.Environments) == 0 && len(r.config.Scenarios) > 0 {
		return environment == model.EnvRunner
	}
	return len(r.config.Environments) == 0 || slices.Contains(r.config.Environments, environment)
}

// session puts together the environments that were asked for.
func (r *runner) session(targets []byte, asked Session) (*session.Session, []model.PlanItem, error) {
	set, err := probe.ParseTargets(bytes.NewReader(targets))
	if err != nil {
		return nil, nil, err
	}
	tried, skipped, err := r.scenarios(set)
	if err != nil {
		return nil, nil, err
	}
	s := &session.Session{
		Targets: targets, Platform: "simulated", Retries: r.config.Retries, ProbeTimeout: r.config.wait(probeTimeout),
		StartTimeout: r.config.wait(session.DefaultStartTimeout), ChangeTimeout: r.config.wait(session.DefaultChangeTimeout),
		// An emulated runner's KVM is emulated too, and several guests at once crash it.
		Turns:   r.config.Patience > 1,
		Observe: facts.ForwardChains, Capture: capture, Progress: r.config.Progress,
		Lanes: asked.limit(append([][]session.Environment{r.plain(), r.containers(), r.instances(), r.virtual(), r.machines()}, tried...)),
	}
	me, err := owner.Self("")
	if err != nil {
		return nil, nil, err
	}
	host := remedy.Host{Journal: filepath.Join(r.config.State, "remedies.json"), RestartDocker: r.restartDocker, Owner: &me}
	s.ID, s.Commands = me.Run, host.Commands
	if r.config.Intervene {
		s.Intervene = host
	}
	return s, skipped, nil
}

// restartDocker is for remedies in the configuration of the daemon that is
// supervised here.
func (r *runner) restartDocker(ctx context.Context) error {
	if r.docker == nil {
		return errors.New("there is no dockerd here")
	}
	return r.docker.Restart(ctx)
}

// capture watches the runner's interfaces: this process is in its namespace.
func capture(ctx context.Context) (session.Stop, error) {
	c, err := hops.Start(ctx)
	if c == nil {
		return nil, err
	}
	return c.Stop, err
}

func (r *runner) plain() []session.Environment {
	if !r.wants(model.EnvRunner) {
		return nil
	}
	suites := []string{"network", "packages", "docker"}
	if r.wants(model.EnvQEMUBridge) || r.wants(model.EnvQEMUUser) {
		suites = append(suites, probe.SuiteMachines)
	}
	return []session.Environment{&session.Local{At: model.Place{Environment: model.EnvRunner}, With: suites}}
}

// containers are the environments of the runner's Docker, one after the other:
// the times that the two ways of putting Docker in take are compared.
func (r *runner) containers() []session.Environment {
	self, host := r.config.binary, "unix://"+dind.DefaultSocket
	var lane []session.Environment
	if r.wants(model.EnvContainer) {
		lane = append(lane, &dind.Container{
			At: model.Place{Environment: model.EnvContainer}, With: []string{"network", "packages"},
			Host: host, Image: baseImage, Binary: self,
		})
	}
	if !r.wants(model.EnvDind) && !r.wants(model.EnvDindInner) {
		return lane
	}
	for _, moment := range []string{dind.BuildTime, dind.Runtime} {
		nested := dind.Nested{
			Host: host, Base: baseImage, Binary: self, Moment: moment, First: helloRef,
			Dir: filepath.Join(r.config.State, "dind-"+moment), Certs: r.certs(),
			Install: dind.Install{Method: dind.MethodDistro, Sources: []string{aptSource}},
			Ready:   r.config.wait(time.Minute), Containerd: r.config.Patience > 1,
		}
		both := nested.Environments()
		if !r.wants(model.EnvDindInner) {
			both = both[:1]
		}
		lane = append(lane, both...)
	}
	return lane
}

func (r *runner) instances() []session.Environment {
	if !r.wants(model.EnvLXDContainer) {
		return nil
	}
	i := r.instance(model.EnvLXDContainer)
	return []session.Environment{&i}
}

// instance is an LXD instance as it is without a scenario.
func (r *runner) instance(environment string) vm.Instance {
	if environment == model.EnvLXDVM {
		return r.virtualInstance()
	}
	return vm.Instance{
		At: model.Place{Environment: environment}, With: []string{"network", "packages"},
		Connect: r.connect, Name: "nestlab-c1", Image: lxdAlias, Network: vm.Bridge, Pool: "default",
		Binary: r.config.binary, Ready: r.config.wait(5 * time.Minute), Patience: r.config.Patience,
	}
}
