// Package faults breaks a simulated runner on purpose. A fault is real: packets
// are dropped, files and daemons are changed. Nothing that the diagnosis reads
// names it; what was broken is told only to whoever broke it.
//
// A new fault is an entry in one of this folder's files: name, break, restore.
package faults

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/testbed/world"
	"github.com/nestlab/nestlab/testbed/world/internet"
)

// ErrNotHere is why a fault cannot be injected on this machine.
var ErrNotHere = errors.New("it cannot be broken here")

// Lab is what a fault may touch of a simulated runner. *world.World is one.
type Lab interface {
	// InRunner and InInternet call f on a thread in that network namespace.
	InRunner(f func() error) error
	InInternet(f func() error) error
	// Behave changes how the internet's servers behave; undo takes that one
	// change back.
	Behave(ctx context.Context, change func(*internet.Behavior)) (undo func(context.Context) error, err error)
	// Exec runs a command in the runner and gives its exit code.
	Exec(ctx context.Context, command []string, stdio world.Stdio) (int, error)
}

// Restore undoes a breakage. Calling it twice does no harm.
type Restore func(ctx context.Context) error

// Fault is one way in which a runner or its internet can be broken.
type Fault struct {
	Name string
	// About says in one line what is broken.
	About string
	// Affects are the environments that can notice.
	Affects []string
	// Cause is the one that has to be named; empty where it is the fault's name.
	Cause string
	// Settings are what the runner's daemons have to be started with; nil for
	// faults that come and go while they run.
	Settings *Settings
	// BeforeDaemons says that Break comes before the daemons start.
	BeforeDaemons bool
	// Break breaks it; nil for faults that are Settings alone.
	Break func(ctx context.Context, lab Lab) (Restore, error)
}

// Settings are what the runner's daemons are started with, on top of their usual ones.
type Settings struct {
	// Docker goes into dockerd's configuration file.
	Docker map[string]any `json:"docker,omitempty"`
	// Subnet is the LXD bridge's own address with its prefix length.
	Subnet string `json:"subnet,omitempty"`
}

// Named is the cause that has to be named.
func (f Fault) Named() string { return cmp.Or(f.Cause, f.Name) }

// AtStart reports whether the fault is there from the daemons' start to their end.
func (f Fault) AtStart() bool { return f.Settings != nil || f.BeforeDaemons }

// All lists the faults in the order in which lists show them.
func All() []Fault {
	return slices.Concat(forwarding(), uplink(), names(), services(), daemons(), elsewhere())
}

// Names lists their names.
func Names() []string {
	var all []string
	for _, f := range All() {
		all = append(all, f.Name)
	}
	return all
}

// Find gives the faults of these names, in this order, each once.
func Find(names []string) ([]Fault, error) {
	all := All()
	var found []Fault
	for _, name := range names {
		i := slices.IndexFunc(all, func(f Fault) bool { return f.Name == name })
		if i < 0 {
			return nil, fmt.Errorf("unknown fault %q: the known ones are %s", name, strings.Join(Names(), ", "))
		}
		if !slices.ContainsFunc(found, func(f Fault) bool { return f.Name == name }) {
			found = append(found, all[i])
		}
	}
	return found, nil
}

// Merge puts the settings of several faults together; two that differ about the
// same setting cannot be had at once.
func Merge(all []Fault) (Settings, error) {
	merged := Settings{Docker: map[string]any{}}
	for _, f := range all {
		if f.Settings == nil {
			continue
		}
		for key, value := range f.Settings.Docker {
			if _, set := merged.Docker[key]; set {
				return Settings{}, fmt.Errorf("the fault %s sets dockerd's %s, and so does another one: give one of them", f.Name, key)
			}
			merged.Docker[key] = value
		}
		if f.Settings.Subnet != "" {
			merged.Subnet = f.Settings.Subnet
		}
	}
	return merged, nil
}

// Put breaks all of them, in their order. The Restore restores in the reverse order,
// also what an error left half broken.
func Put(ctx context.Context, lab Lab, all []Fault) (Restore, error) {
	var restores []Restore
	restore := func(ctx context.Context) error {
		var errs []error
		for i := len(restores) - 1; i >= 0; i-- {
			errs = append(errs, restores[i](ctx))
		}
		return errors.Join(errs...)
	}
	for _, f := range all {
		if f.Break == nil {
			continue
		}
		m, err := f.Break(ctx, lab)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("break %s: %w", f.Name, err), restore(context.WithoutCancel(ctx)))
		}
		restores = append(restores, m)
	}
	return restore, nil
}

// environments are those of a simulated runner: not those of a host as it is.
func environments() []string {
	return slices.DeleteFunc(model.Environments(), func(e string) bool { return e == model.EnvBridge || e == model.EnvGuest })
}

// guests are the environments whose traffic the runner forwards.
func guests() []string {
	return slices.DeleteFunc(environments(), func(e string) bool { return e == model.EnvRunner || e == model.EnvQEMUUser })
}

// instances are the guests of LXD's bridge.
func instances() []string {
	return []string{model.EnvLXDContainer, model.EnvLXDVM, model.EnvQEMUBridge}
}

// containers are the environments of the runner's Docker.
func containers() []string {
	return []string{model.EnvContainer, model.EnvDind, model.EnvDindInner}
}
