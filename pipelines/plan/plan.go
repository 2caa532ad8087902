// Package plan says what a call would run. It is pure: the module prints it as a
// dry run, and checks arguments with it before anything is started.
package plan

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/nestlab/nestlab/model"
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

// For is the plan of a command. Only are patterns of environment names, such as
// lxd-*, or !dind* to leave out; none means all.
func For(command, internet, method string, only []string) (model.Plan, error) {
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
	all := items(command, method)
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

// known checks that each pattern fits something: a typing error must not end in
// a run that is smaller than was asked for.
func known(command string, all []model.PlanItem, only []string) error {
	for _, pattern := range only {
		fits := false
		for _, item := range all {
			match, err := path.Match(strings.TrimPrefix(pattern, "!"), item.Environment)
			if err != nil {
				return fmt.Errorf("the pattern %q is broken: %w", pattern, err)
			}
			fits = fits || match
		}
		if !fits {
			names := strings.Join(Names(model.Plan{Items: all}), ", ")
			return fmt.Errorf("unknown environment %q: %s has %s", pattern, command, names)
		}
	}
	return nil
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

// selected is Selected, but a container of a nested daemon brings that daemon's
// environment with it, and is not to be had where that is left out.
func selected(name string, only []string) (bool, error) {
	keep, err := Selected(name, only)
	if err != nil || name != model.EnvDind && name != model.EnvDindInner {
		return keep, err
	}
	var exclusions []string
	for _, p := range only {
		if strings.HasPrefix(p, "!") {
			exclusions = append(exclusions, p)
		}
	}
	outer, err := Selected(model.EnvDind, exclusions)
	if err != nil || !outer {
		return false, err
	}
	if name == model.EnvDind && !keep {
		return Selected(model.EnvDindInner, only)
	}
	return keep, nil
}

// Selected reports whether a name fits the patterns: any of the plain ones (all
// names where there is none) and none of those that begin with !.
func Selected(name string, patterns []string) (bool, error) {
	wanted, positive := false, false
	for _, p := range patterns {
		pattern, exclude := strings.CutPrefix(p, "!")
		match, err := path.Match(pattern, name)
		if err != nil {
			return false, fmt.Errorf("the pattern %q is broken: %w", p, err)
		}
		if !exclude {
			positive = true
			wanted = wanted || match
		} else if match {
			return false, nil
		}
	}
	return wanted || !positive, nil
}
