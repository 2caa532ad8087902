// Package host carries a session out on a real host: guests of its LXD and its QEMU beside
// the host itself, and what killed runs left of them removed.
package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/observe/facts"
	"github.com/nestlab/nestlab/observe/follow"
	"github.com/nestlab/nestlab/observe/hops"
	"github.com/nestlab/nestlab/owner"
	"github.com/nestlab/nestlab/remedy"
	"github.com/nestlab/nestlab/session"
	"github.com/nestlab/nestlab/spec"
	"github.com/nestlab/nestlab/spec/targets"
	"github.com/nestlab/nestlab/vm"
)

// Run is a request with what it needs of this host.
type Run struct {
	Request spec.HostRun
	// Remote is the LXD, Rootfs the second file of the image that the request names.
	Remote vm.Remote
	Rootfs string
	// Guest is the directory with what QEMU's guests boot; empty for no guests.
	Guest string
	// Cache has the packages and images of the scenario cached; may be empty.
	Cache string
	// Targets are what is probed: Do needs them.
	Targets *targets.Set
	// Journal says what is changed, Proxies which proxies scenarios have.
	Journal, Proxies string
	// Out is the directory of the run's files.
	Out, Version string
	Progress     io.Writer

	plan    model.Plan
	keys    map[string]map[string]string // of devices
	binary  string
	owner   *owner.Owner
	imports vm.Imports
	guests  guests
}

// Validate checks what was asked for, on this host, and plans it.
func (r *Run) Validate() (err error) {
	r.Remote.Project, r.Remote.Member = r.Request.Project, r.Request.Member
	if err := r.checkGuest(); err != nil {
		return err
	}
	r.plan, err = r.Request.PlanOn(spec.Host{Elsewhere: r.Remote.Elsewhere(), Guests: r.Guest != ""})
	if err != nil {
		return err
	}
	if r.keys, err = r.Request.DeviceKeys(); err != nil {
		return err
	}
	if !spec.UsesLXD(r.plan) {
		return nil
	}
	if r.Rootfs != "" && !vm.ImageFile(r.Request.Image) {
		return errors.New("--rootfs is the second file of an image, and --image names no file: begin its path with ./ or /")
	}
	return r.Remote.Validate()
}

// Plan is what Do does, after Validate.
func (r *Run) Plan() model.Plan { return r.plan }

// Do carries the run out, after Validate.
func (r *Run) Do(ctx context.Context) (err error) {
	if spec.UsesLXD(r.plan) {
		if err := r.Remote.Present(); err != nil {
			return err
		}
	}
	r.plan.Targets, r.plan.Internet = r.Targets.Name, r.Targets.Internet()
	if r.plan.Platform == model.PlatformAuto {
		r.plan.Platform = facts.DetectPlatform()
	}
	if r.binary, err = os.Executable(); err != nil {
		return fmt.Errorf("find this binary: %w", err)
	}
	me, err := owner.Self("")
	if err != nil {
		return err
	}
	r.owner = &me
	if err := r.openGuests(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.guests.close()) }()
	s, err := r.session()
	if err != nil {
		return err
	}
	return s.Write(ctx, r.Out, r.plan, r.Version, nil)
}

func (r *Run) session() (*session.Session, error) {
	lanes, err := r.lanes()
	if err != nil {
		return nil, err
	}
	text, err := r.Targets.Encode()
	if err != nil {
		return nil, err
	}
	s := &session.Session{
		ID: r.owner.Run, Lanes: lanes, Targets: text, Platform: r.plan.Platform, Retries: r.Request.Retries,
		ProbeTimeout: r.Request.Timeout, StartTimeout: r.Request.Start, Progress: r.Progress, LockTimeout: r.Request.Lock, ChangeTimeout: r.Request.Change,
	}
	// Without the machine itself this may well run in a container beside it, where
	// its chains and packets are not to be seen.
	if r.here() {
		s.Host = Here(remedy.Host{Journal: r.Journal, Owner: r.owner}, r.plan.Intervene)
	}
	s.Sweep = r.sweep
	return s, nil
}

// Here is the machine whose network this process is in, which changes are made on if it
// may be changed.
func Here(changes remedy.Host, intervene bool) session.Host {
	h := session.Host{Observe: facts.ForwardChains, Capture: capture, Follow: followed, Commands: changes.Commands}
	if intervene {
		h.Intervene = changes
	}
	return h
}

func capture(ctx context.Context) (session.Stop, error) {
	c, err := hops.Start(ctx)
	if c == nil {
		return nil, err
	}
	return c.Stop, err
}

func followed(ctx context.Context, s follow.Subject) session.Follower { return follow.Start(ctx, s) }

// here reports whether the host itself is in the plan.
func (r *Run) here() bool { return spec.Runs(r.plan, model.EnvRunner) }

// lanes are the host itself, then LXD's instances, one after the other; and beside
// them QEMU's guests; and those of scenarios.
func (r *Run) lanes() ([][]session.Environment, error) {
	tries, err := r.scenarios()
	if err != nil {
		return nil, err
	}
	return session.Lanes(r.plan.Items, lane, func(row model.PlanItem) (session.Environment, error) {
		if row.Scenario != "" {
			return tries.Environment(row)
		}
		return r.environment(row.Place)
	})
}

// lane names the one that a row is in.
func lane(row model.PlanItem) string {
	e, _ := spec.FindEnvironment(row.Environment)
	if row.Scenario != "" {
		return "scenarios of " + string(e.Group)
	}
	if e.Group == spec.GroupQEMU {
		return string(e.Group)
	}
	return "host"
}

// environment makes one as it is without a scenario.
func (r *Run) environment(place model.Place) (session.Environment, error) {
	switch e, _ := spec.FindEnvironment(place.Environment); e.Group {
	case spec.GroupHost:
		return &session.Local{At: place}, nil
	case spec.GroupQEMU:
		guest := r.machine(place.Environment, false)
		return &guest, nil
	case spec.GroupLXD:
		i := r.instance(place.Environment)
		return &i, nil
	}
	return nil, fmt.Errorf("a host has no environment %q", place.Environment)
}

// instance is one of LXD's as it is without a scenario.
func (r *Run) instance(environment string) vm.Instance {
	q := r.Request
	return vm.Instance{
		At: model.Place{Environment: environment}, Connect: r.connect, Owner: r.owner,
		Name: "nestlab-" + environment, Image: q.Image, Rootfs: r.Rootfs, Imports: &r.imports, ImageServer: q.ImageServer, VM: environment == model.EnvLXDVM,
		Network: q.Network, Pool: q.Pool, Config: q.Config, DeviceKeys: r.keys, NoIPv6: q.Family == spec.FamilyV4, Binary: r.binary, Ready: q.Ready,
	}
}

func (r *Run) connect(ctx context.Context) (vm.Server, error) {
	return r.Remote.Connect(ctx, 30*time.Second)
}

// sweep removes what a killed run left on the LXD, instances, of scenarios too, with
// their images, bridges and proxies, and of QEMU's guests.
func (r *Run) sweep(ctx context.Context) (left []string, err error) {
	if r.Guest != "" {
		left, err = sweepGuests(ctx, false)
	}
	if !spec.UsesLXD(r.plan) {
		return left, err
	}
	more, failed := sweepLXD(ctx, r.Remote, r.Proxies, false, false)
	return append(left, more...), errors.Join(err, failed)
}
