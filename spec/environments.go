package spec

import (
	"slices"

	"github.com/nestlab/nestlab/model"
)

// Group is what runs an environment. The environments of a group share a lane where
// their times are compared.
type Group string

// The groups.
const (
	GroupHost   Group = "host"
	GroupDocker Group = "docker"
	GroupLXD    Group = "lxd"
	GroupQEMU   Group = "qemu"
)

// Environment is one row of the table that plans, lanes, help and docs come from.
type Environment struct {
	Name  string
	Group Group
	// About says in a few words what it is.
	About string
	// Suites are the probe suites that make sense in it: Docker's only with a daemon.
	Suites []string
	// Commands run it. In a simulation Runners are the forms of the runner that have it.
	Commands []Command
	Runners  []RunnerKind
	// Nested says that Docker is installed for it, at each phase of a command.
	Nested bool
	// Asked says that it is run only where a pattern names it.
	Asked bool
	// Bridge is the one that it is on in a simulated runner, where it has a name.
	Bridge string
	// Inside names the environment that it is made in and cannot be without.
	Inside string
	// Adds are suites that the runner has because of it.
	Adds []string
	// Scenarios says that scenarios can be tried in it; Named that in a simulation they are
	// only where it is named.
	Scenarios, Named bool
}

// environments is the table, in the order of tables and plans.
func environments() []Environment {
	basic := []string{model.SuiteNetwork, model.SuitePackages}
	withDocker := model.Suites()
	both := []RunnerKind{Namespaced, Emulated}
	docker := []Command{CommandSimulate, CommandCompare, CommandBuildTime, CommandRuntime}
	guests := []Command{CommandSimulate, CommandVM}
	return []Environment{
		{Name: model.EnvRunner, Group: GroupHost, About: "the runner itself, the control", Suites: withDocker, Commands: guests, Runners: both},
		{Name: model.EnvBridge, Group: GroupHost, About: "a bridge, by what stands in for a guest on it; in a simulation only where it is named", Suites: basic[:1], Commands: []Command{CommandSimulate, CommandDoctor}, Runners: both, Asked: true, Bridge: "lxdbr0"},
		{Name: model.EnvGuest, Group: GroupHost, About: "a guest that a host has already", Suites: basic[:1], Commands: []Command{CommandDoctor}},
		{Name: model.EnvContainer, Group: GroupDocker, About: "a plain container", Suites: basic, Commands: []Command{CommandSimulate, CommandCompare}, Runners: both},
		{Name: model.EnvDind, Group: GroupDocker, About: "Docker-in-Docker", Suites: withDocker, Commands: docker, Runners: both, Nested: true},
		{Name: model.EnvDindInner, Group: GroupDocker, About: "a container of the Docker in Docker", Suites: basic, Commands: docker, Runners: both, Nested: true, Inside: model.EnvDind},
		{Name: model.EnvLXDContainer, Group: GroupLXD, About: "a container of LXD", Suites: basic, Commands: guests, Runners: both, Scenarios: true},
		// LXD's virtual machines need KVM and vsock, which the emulated runner has.
		{Name: model.EnvLXDVM, Group: GroupLXD, About: "a virtual machine of LXD", Suites: basic, Commands: guests, Runners: []RunnerKind{Emulated}, Scenarios: true, Named: true},
		{Name: model.EnvQEMUBridge, Group: GroupQEMU, About: "a guest of QEMU on a bridge", Suites: basic, Commands: guests, Runners: both, Adds: []string{model.SuiteMachines}, Scenarios: true},
		{Name: model.EnvQEMUUser, Group: GroupQEMU, About: "a guest of QEMU with user-mode network", Suites: basic, Commands: guests, Runners: both, Adds: []string{model.SuiteMachines}, Scenarios: true},
	}
}

// Environments lists the rows that a command can run, in the order of the table.
func Environments(c Command) []Environment {
	return slices.DeleteFunc(environments(), func(e Environment) bool { return !slices.Contains(e.Commands, c) })
}

// EnvironmentNames lists the names of the rows that a command can run.
func EnvironmentNames(c Command) []string { return names(Environments(c)) }

// FindEnvironment is the row of a name; false where there is none.
func FindEnvironment(name string) (Environment, bool) {
	all := environments()
	i := slices.IndexFunc(all, func(e Environment) bool { return e.Name == name })
	if i < 0 {
		return Environment{}, false
	}
	return all[i], true
}

func names(rows []Environment) []string {
	var all []string
	for _, e := range rows {
		all = append(all, e.Name)
	}
	return all
}
