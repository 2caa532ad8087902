package spec

import "github.com/nestlab/nestlab/model"

// Command is one that makes a run, or a set of runs.
type Command string

// The commands.
const (
	CommandSimulate  Command = "simulate"
	CommandCompare   Command = "compare"
	CommandBuildTime Command = "build-time"
	CommandRuntime   Command = "runtime"
	CommandVM        Command = "vm"
	CommandAccuracy  Command = "accuracy"
	CommandDoctor    Command = "doctor"
)

// Values lists the commands that have a plan.
func (Command) Values() []Command {
	return []Command{CommandSimulate, CommandCompare, CommandBuildTime, CommandRuntime, CommandVM}
}
func (Command) kind() string { return "command" }

// Order is the order in which the daemons of the simulated runner start.
type Order string

// The orders.
const (
	DockerFirst Order = "docker-first" // as on hosted runners
	LXDFirst    Order = "lxd-first"
)

// Values lists the orders.
func (Order) Values() []Order { return []Order{DockerFirst, LXDFirst} }
func (Order) kind() string    { return "order" }

// RunnerKind is the form of the simulated runner.
type RunnerKind string

// The forms.
const (
	// Namespaced is a runner of namespaces on this machine's kernel.
	Namespaced RunnerKind = "namespaced"
	// Emulated is one in a machine of its own, with a kernel of its own.
	Emulated RunnerKind = "emulated"
)

// Values lists the forms.
func (RunnerKind) Values() []RunnerKind { return []RunnerKind{Namespaced, Emulated} }
func (RunnerKind) kind() string         { return "runner" }

// DockerSuite is a suite of Debian whose Docker a simulated runner can have.
type DockerSuite string

// The suites: releases 20.10, 26.1 and 28 of Docker when this was written.
const (
	Bookworm DockerSuite = "bookworm"
	Trixie   DockerSuite = "trixie"
	Sid      DockerSuite = "sid"
)

// Values lists the suites.
func (DockerSuite) Values() []DockerSuite { return []DockerSuite{Bookworm, Trixie, Sid} }
func (DockerSuite) kind() string          { return "Docker suite" }

// Internet is what environments are probed against.
type Internet string

// The kinds of internet.
const (
	Live      Internet = "live"
	Simulated Internet = "simulated"
)

// Values lists the kinds.
func (Internet) Values() []Internet { return []Internet{Live, Simulated} }
func (Internet) kind() string       { return "internet" }

// Platform decides which failures are expected.
type Platform string

// PlatformAuto has the machine looked at.
const PlatformAuto Platform = model.PlatformAuto

// Values lists the platforms.
func (Platform) Values() []Platform {
	all := []Platform{PlatformAuto}
	for _, p := range model.Platforms() {
		all = append(all, Platform(p))
	}
	return all
}
func (Platform) kind() string { return "platform" }

// Phase is when Docker is installed.
type Phase string

// The phases.
const (
	BuildTime Phase = "build-time" // when the image is built
	Runtime   Phase = "runtime"    // in the running container
)

// Values lists the phases.
func (Phase) Values() []Phase { return []Phase{BuildTime, Runtime} }
func (Phase) kind() string    { return "install phase" }

// Family is the address families of instances.
type Family string

// The families.
const (
	FamilyAll Family = "all"
	FamilyV4  Family = "v4" // IPv6 off, apt forced to IPv4
)

// Values lists the families.
func (Family) Values() []Family { return []Family{FamilyAll, FamilyV4} }
func (Family) kind() string     { return "family" }
