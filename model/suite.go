package model

// The suites of probes.
const (
	SuiteNetwork  = "network"
	SuitePackages = "packages"
	SuiteDocker   = "docker"
	// SuiteMachines is about a runner that virtual machines are to run on. It is
	// run where it is asked for by name only.
	SuiteMachines = "machines"
)

// Suites lists the suites of every environment in the order in which they run.
func Suites() []string { return []string{SuiteNetwork, SuitePackages, SuiteDocker} }

// MaxRetries is the most that a transient failure is tried again.
const MaxRetries = 10

// The platforms, which decide what is expected to fail.
const (
	PlatformAzure     = "azure"
	PlatformGitHub    = "github-hosted"
	PlatformSimulated = "simulated"
	PlatformUnknown   = "unknown"
	// PlatformAuto stands for the one that the machine turns out to be.
	PlatformAuto = "auto"
)

// Platforms lists those that a machine can be of.
func Platforms() []string {
	return []string{PlatformAzure, PlatformGitHub, PlatformSimulated, PlatformUnknown}
}
