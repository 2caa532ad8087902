package vm

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/canonical/lxd/client"
	"github.com/canonical/lxd/shared/api"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/owner"
	"github.com/nestlab/nestlab/session"
	"github.com/nestlab/nestlab/tail"
)

// Instance is an environment in an LXD instance.
type Instance struct {
	At   model.Place
	With []string
	// Connect reaches the server when the instance is to be started.
	Connect func(ctx context.Context) (Server, error)
	// Name is the instance's, Image an alias, a fingerprint or the path of a file
	// (see ImageFile), Network the bridge of its NIC, Pool the storage pool of its root.
	Name, Image, Network, Pool string
	// Rootfs is the image's second file, where Image is one with the metadata only.
	Rootfs string
	// Imports are shared by the instances of a run on one LXD; nil where the image is
	// no file, or the only instance's.
	Imports *Imports
	// ImageServer is the simplestreams server that has the image; empty where LXD has it.
	ImageServer string
	// VM asks for a virtual machine instead of a container.
	VM bool
	// Owner is the run that it is of; nil where no other run can meet it.
	Owner *owner.Owner
	// Config are further configuration keys, such as limits.memory.
	Config map[string]string
	// Devices replace or add to the instance's devices by their names; one without
	// properties is left out.
	Devices map[string]map[string]string
	// DeviceKeys are set on these and on the instance's own devices, by their names, but
	// for those that Devices has; a device that is not there is made.
	DeviceKeys map[string]map[string]string
	// NoIPv6 has IPv6 off in the instance when it is probed, and its apt forced to IPv4.
	NoIPv6 bool
	// Prepare is called once the instance takes commands, before its network is
	// waited for; nil for nothing to do.
	Prepare func(ctx context.Context, i *Instance) error
	// Args are further arguments of the probing in a round; nil for none.
	Args func(round string) []string
	// Binary is the path of the one binary on this machine.
	Binary string
	// Ready bounds the wait until the instance takes files and commands.
	Ready time.Duration
	// Patience is how many times longer than usual its network may take; 0 is 1.
	Patience int

	server Server
	made   bool
	// image is the one from a file that this instance uses; nil for none.
	image *fileImage
}

// Place implements session.Environment.
func (i *Instance) Place() model.Place { return i.At }

// Suites implements session.Environment.
func (i *Instance) Suites() []string { return i.With }

// kind is what LXD calls it.
func (i *Instance) kind() string {
	if i.VM {
		return "virtual machine"
	}
	return "container"
}

// ProbeArguments implements session.Argued.
func (i *Instance) ProbeArguments(round string) []string {
	if i.Args == nil {
		return nil
	}
	return i.Args(round)
}

// Start implements session.Environment.
func (i *Instance) Start(ctx context.Context, took session.Took) error {
	begin := time.Now()
	server, err := i.Connect(ctx)
	if err != nil {
		return err
	}
	i.server = server
	if err := i.discard(ctx); err != nil {
		return err
	}
	if err := i.make(ctx); err != nil {
		return err
	}
	// LXD 5.0 ignores InstancesPost.Start.
	err = operate(ctx, i.server, func() (lxd.Operation, error) {
		return server.UpdateInstanceState(i.Name, api.InstanceStatePut{Action: "start", Timeout: 30}, "")
	})
	if err != nil {
		return i.explain(ctx, fmt.Errorf("start the LXD instance %s: %w", i.Name, advise(err, i)))
	}
	unmet, err := i.await(ctx)
	if err != nil {
		return i.explain(ctx, fmt.Errorf("the LXD instance %s: %w", i.Name, err))
	}
	took(model.StepStart, begin, time.Since(begin), lacks(unmet))
	return nil
}

// Restart implements session.Restarter: the instance is stopped and started, and
// asks for its addresses again.
func (i *Instance) Restart(ctx context.Context) error {
	for _, state := range []api.InstanceStatePut{{Action: "stop", Force: true, Timeout: 30}, {Action: "start", Timeout: 30}} {
		err := operate(ctx, i.server, func() (lxd.Operation, error) { return i.server.UpdateInstanceState(i.Name, state, "") })
		if err != nil {
			return fmt.Errorf("%s the LXD instance %s: %w", state.Action, i.Name, err)
		}
	}
	if _, err := i.await(ctx); err != nil {
		return fmt.Errorf("the LXD instance %s, started again: %w", i.Name, err)
	}
	return nil
}

// make asks for the instance, with its image put in before where that is a file.
func (i *Instance) make(ctx context.Context) error {
	image := i.Image
	if ImageFile(image) {
		print, err := i.load(ctx)
		if err != nil {
			return err
		}
		image = print
	}
	// Before the request: an interrupted wait may leave an instance.
	i.made = true
	err := operate(ctx, i.server, func() (lxd.Operation, error) { return i.server.CreateInstance(i.request(image)) })
	if err != nil {
		return fmt.Errorf("make the LXD instance %s from image %s: %w", i.Name, i.Image, advise(err, i))
	}
	return nil
}

// Stop implements session.Environment.
func (i *Instance) Stop(ctx context.Context) error {
	var errs []error
	if i.made {
		errs = append(errs, i.discard(ctx))
	}
	if i.image != nil {
		errs = append(errs, i.unload(ctx))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("%w; `nestlab vm gc` removes what is left", err)
	}
	return nil
}

// Sweep removes the instance that a killed run left.
func (i *Instance) Sweep(ctx context.Context) (err error) {
	if i.server == nil {
		if i.server, err = i.Connect(ctx); err != nil {
			return err
		}
	}
	return i.discard(ctx)
}

// discard removes the instance, also one of the same name that a killed run left, but
// none that another run uses.
func (i *Instance) discard(ctx context.Context) error {
	err := settle(ctx, i.server, func(o api.Operation) bool { return onInstance(o, i.Name) })
	if err != nil {
		return err
	}
	found, err := i.known(ctx)
	if err != nil || found == nil {
		return err
	}
	if found.Config[Marker] == "" {
		return fmt.Errorf("the LXD instance %s is there and is not nestlab's: rename or remove it", i.Name)
	}
	if err := Used(i.server, "the LXD instance "+i.Name, found.Config[OwnerKey], i.Owner); err != nil {
		return err
	}
	return removeInstance(ctx, i.server, *found)
}

// known is the instance as LXD has it; nil for none.
func (i *Instance) known(ctx context.Context) (*api.Instance, error) {
	all, err := Ask(ctx, func() ([]api.Instance, error) { return i.server.GetInstances(api.InstanceTypeAny) })
	if err != nil {
		return nil, fmt.Errorf("list the LXD instances: %w", err)
	}
	for _, found := range all {
		if found.Name == i.Name {
			return &found, nil
		}
	}
	return nil, nil
}

// explain adds the end of LXD's own log of the instance to an error: it goes with
// the instance.
func (i *Instance) explain(ctx context.Context, err error) error {
	name := "lxc.log"
	if i.VM {
		name = "qemu.log"
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), answerWithin)
	defer cancel()
	text, failed := Within(ctx, func() (_ string, err error) {
		log, err := i.server.GetInstanceLogfile(i.Name, name)
		if err != nil {
			return "", err
		}
		defer func() { err = errors.Join(err, log.Close()) }()
		text, err := tail.Read(log, logSize)
		return tail.Line(firstErrors(text)), err
	})
	if failed != nil {
		return fmt.Errorf("%w; its log cannot be read: %w", err, failed)
	}
	return fmt.Errorf("%w; the end of its %s: %s", err, name, text)
}

// firstErrors are the first lines at the level ERROR of a log of LXC's, as those after them
// say what follows of them; the end of a log without any.
func firstErrors(text string) string {
	var kept []string
	size := 0
	for l := range strings.Lines(text) {
		if words := strings.Fields(l); len(words) < 4 || words[3] != "ERROR" {
			continue
		}
		if size += len(l); size > tailSize && len(kept) > 0 {
			break
		}
		kept = append(kept, model.Clip(l, tailSize))
	}
	if len(kept) == 0 {
		return tail.Text(text, tailSize)
	}
	return strings.Join(kept, "")
}
