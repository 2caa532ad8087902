// Package plan says what a call would run. It is pure: the module prints it as a
// dry run, and checks arguments with it before anything is started.
package plan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/scenario"
	"github.com/nestlab/nestlab/selection"
)

// The kinds of internet.
const (
	Live      = "live"
	Simulated = "simulated"
)

// The commands that can be planned.
const (
	Simulate  = "simulate"
	BuildTime = "build-time"
	Runtime   = "runtime"
	Compare   = "compare"
)

// Commands lists them.
func Commands() []string { return []string{Simulate, Compare, BuildTime, Runtime} }

// Asked is what a plan is made from.
type Asked struct {
	Command, Internet, Method string
	// Only are patterns of environment names, such as lxd-*, or !dind* to leave
	// out; none means all, or the control alone where there are scenarios.
	Only []string
	// Scenarios are patterns of scenarios' names; none means none.
	Scenarios []string
	// Emulated says that the simulated runner is a machine of its own.
	Emulated bool
}

// With is the plan with the rows of scenarios, which simulations have.
func (a Asked) With() (model.Plan, error) {
	chosen, err := scenario.Select(a.Scenarios)
	if err != nil {
		return model.Plan{}, err
	}
	if len(chosen) > 0 && a.Command != Simulate {
		return model.Plan{}, fmt.Errorf("scenarios are of %s and vm, not of %s", Simulate, a.Command)
	}
	if a.Emulated && a.Command != Simulate {
		return model.Plan{}, fmt.Errorf("an emulated runner is of %s, not of %s", Simulate, a.Command)
	}
	plain, available := a.Only, []string{model.EnvLXDContainer, model.EnvQEMUBridge, model.EnvQEMUUser}
	if a.Emulated && len(a.Only) > 0 {
		available = append(available, model.EnvLXDVM)
	}
	if len(chosen) > 0 && len(a.Only) == 0 {
		plain = []string{model.EnvRunner}
	}
	p, err := For(a.Command, a.Internet, a.Method, plain)
	if a.Emulated {
		p, err = ForEmulated(a.Method, plain)
	}
	if err != nil {
		return model.Plan{}, err
	}
	if len(a.Only) > 0 {
		available = slices.DeleteFunc(available, func(e string) bool { return !slices.Contains(Names(p), e) })
	}
	if err := scenario.Fit(chosen, Names(p)); err != nil {
		return model.Plan{}, err
	}
	p.Items = append(p.Items, scenario.Items(chosen, available)...)
	return p, nil
}

// For is the plan of a command. Only are patterns of environment names, such as
// lxd-*, or !dind* to leave out; none means all.
func For(command, internet, method string, only []string) (model.Plan, error) {
	return choose(command, internet, items(command, method), only)
}

// ForEmulated is the plan of a simulation whose runner is a machine of its own:
// LXD has virtual machines there.
func ForEmulated(method string, only []string) (model.Plan, error) {
	all := items(Simulate, method)
	for i, item := range all {
		if item.Environment == model.EnvLXDContainer {
			vm := model.PlanItem{Place: model.Place{Environment: model.EnvLXDVM}, Suites: suites(model.EnvLXDVM)}
			all = slices.Insert(all, i+1, vm)
			break
		}
	}
	return choose(Simulate, Simulated, all, only)
}

func choose(command, internet string, all []model.PlanItem, only []string) (model.Plan, error) {
	if !slices.Contains(Commands(), command) {
		return model.Plan{}, fmt.Errorf("unknown command %q: plan one of %s", command, strings.Join(Commands(), ", "))
	}
	if command == Simulate {
		internet = Simulated
	}
	if internet != Live && internet != Simulated {
		return model.Plan{}, fmt.Errorf("unknown internet %q: it is %s or %s", internet, Live, Simulated)
	}
	p := model.Plan{Command: command, Internet: internet, Targets: internet, Items: []model.PlanItem{}}
	if err := known(command, all, only); err != nil {
		return model.Plan{}, err
	}
	for _, item := range all {
		keep, err := selected(item.Environment, only)
		if err != nil {
			return model.Plan{}, err
		}
		if keep {
			p.Items = append(p.Items, item)
		}
	}
	if len(p.Items) == 0 {
		return model.Plan{}, fmt.Errorf("nothing is left to run: no environment of %s fits %s", command, strings.Join(only, ", "))
	}
	return p, nil
}

// known checks that each pattern fits something.
func known(command string, all []model.PlanItem, only []string) error {
	names := Names(model.Plan{Items: all})
	pattern, missed, err := selection.Misses(names, only)
	if missed {
		hint := ""
		if pattern == model.EnvLXDVM && command == Simulate {
			hint = "; " + model.EnvLXDVM + " takes " + Simulate + " --runner emulated"
		}
		return fmt.Errorf("unknown environment %q: %s has %s%s", pattern, command, strings.Join(names, ", "), hint)
	}
	return err
}

func items(command, method string) []model.PlanItem {
	plain := func(environment string) model.PlanItem {
		return model.PlanItem{Place: model.Place{Environment: environment}, Suites: suites(environment)}
	}
	nested := func(moment string) []model.PlanItem {
		setup := method + "/" + moment
		return []model.PlanItem{
			{Place: model.Place{Environment: model.EnvDind, Setup: setup}, Suites: suites(model.EnvDind)},
			{Place: model.Place{Environment: model.EnvDindInner, Setup: setup}, Suites: suites(model.EnvDindInner)},
		}
	}
	both := append(nested(BuildTime), nested(Runtime)...)
	switch command {
	case BuildTime, Runtime:
		return nested(command)
	case Compare:
		return append([]model.PlanItem{plain(model.EnvContainer)}, both...)
	default:
		all := append([]model.PlanItem{plain(model.EnvRunner), plain(model.EnvContainer)}, both...)
		return append(all, plain(model.EnvLXDContainer), plain(model.EnvQEMUBridge), plain(model.EnvQEMUUser))
	}
}

// suites are the ones that make sense in an environment: Docker's only where a
// daemon is.
func suites(environment string) []string {
	switch environment {
	case model.EnvRunner, model.EnvDind:
		return []string{"network", "packages", "docker"}
	default:
		return []string{"network", "packages"}
	}
}

// selected is selection.Selected, but a container of a nested daemon brings that daemon's
// environment with it, and is not to be had where that is left out.
func selected(name string, only []string) (bool, error) {
	keep, err := selection.Selected(name, only)
	if err != nil || name != model.EnvDind && name != model.EnvDindInner {
		return keep, err
	}
	var exclusions []string
	for _, p := range only {
		if strings.HasPrefix(p, "!") {
			exclusions = append(exclusions, p)
		}
	}
	outer, err := selection.Selected(model.EnvDind, exclusions)
	if err != nil || !outer {
		return false, err
	}
	if name == model.EnvDind && !keep {
		return selection.Selected(model.EnvDindInner, only)
	}
	return keep, nil
}
