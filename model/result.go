package model

import (
	"fmt"
	"strings"
	"time"
)

// The names of environments.
const (
	EnvRunner       = "runner"
	EnvContainer    = "container"
	EnvDind         = "dind"
	EnvDindInner    = "dind-inner"
	EnvLXDContainer = "lxd-container"
	EnvLXDVM        = "lxd-vm"
	EnvQEMUBridge   = "qemu-bridge"
	EnvQEMUUser     = "qemu-user"
	// Those of a host as it is, each with a name: a bridge, seen by what stands in for a
	// guest on it, and a guest that is there already.
	EnvBridge = "bridge"
	EnvGuest  = "guest"
)

// Environments lists the names in the order in which tables show them: the
// control first, then from the least to the most nested.
func Environments() []string {
	return []string{
		EnvRunner, EnvBridge, EnvGuest, EnvContainer, EnvDind, EnvDindInner,
		EnvLXDContainer, EnvLXDVM, EnvQEMUBridge, EnvQEMUUser,
	}
}

// The names of probes, in the order in which tables show them.
const (
	ProbeDNSA          = "dns-a"
	ProbeDNSAAAA       = "dns-aaaa"
	ProbeTCP           = "tcp-connect"
	ProbeFirst         = "first-address"
	ProbeHTTP          = "http"
	ProbeHTTPS         = "https"
	ProbeICMP          = "icmp-echo"
	ProbePathMTU       = "path-mtu"
	ProbeAptUpdate     = "apt-update"
	ProbeAptInstall    = "apt-install"
	ProbeDockerInstall = "docker-install"
	ProbeDockerPing    = "docker-ping"
	ProbeRegistryPull  = "registry-pull"
	ProbeDockerRun     = "docker-run"
	ProbeDockerBuild   = "docker-build"
	ProbeDockerNetwork = "docker-network"
	ProbeKVM           = "kvm-open"
	// ProbeStart stands for an environment that did not come up: the one result
	// that is there when no probe could run.
	ProbeStart = "start"
)

// Probes lists the probes in table order.
func Probes() []string {
	return []string{
		ProbeStart, ProbeDNSA, ProbeDNSAAAA, ProbeTCP, ProbeFirst, ProbeHTTP, ProbeHTTPS, ProbeICMP, ProbePathMTU,
		ProbeAptUpdate, ProbeAptInstall, ProbeDockerInstall, ProbeDockerPing, ProbeRegistryPull, ProbeDockerRun, ProbeDockerBuild, ProbeDockerNetwork, ProbeKVM,
	}
}

// The rounds of a run. Only RoundBaseline is there without an intervention.
const (
	RoundBaseline   = "baseline"   // as found
	RoundIntervened = "intervened" // with the one change
	RoundReverted   = "reverted"   // with the change reverted
)

// Place names an environment together with how Docker got into it, and what was
// made different about it.
type Place struct {
	// Environment is one of Environments.
	Environment string `json:"environment"`
	// Name is that of the bridge or the guest; empty for environments of which there is one.
	Name string `json:"name,omitempty"`
	// Setup is METHOD/PHASE, such as distro/build-time; empty where no Docker was installed.
	Setup string `json:"setup,omitempty"`
	// Scenario is one of package scenario's names, such as alternative-network/macvlan;
	// empty for the environment as it is.
	Scenario string `json:"scenario,omitempty"`
}

// String is the place's column heading: "dind distro/build-time",
// "lxd-container ipv4-only" or "bridge virbr0".
func (p Place) String() string {
	s := p.Environment
	for _, more := range []string{p.Name, p.Setup, p.Scenario} {
		if more != "" {
			s += " " + more
		}
	}
	return s
}

// Key is the place as one path, for references: ENVIRONMENT/METHOD/PHASE@SCENARIO,
// or ENVIRONMENT/NAME.
func (p Place) Key() string {
	s := p.Environment
	if p.Name != "" {
		s += "/" + p.Name
	}
	if p.Setup != "" {
		s += "/" + p.Setup
	}
	if p.Scenario != "" {
		s += "@" + p.Scenario
	}
	return s
}

// Dial is one attempt at one address of a target.
type Dial struct {
	// Address is IP:PORT, Reason is empty where it connected.
	Address    string `json:"address"`
	Reason     Reason `json:"reason,omitempty"`
	DurationMS int64  `json:"duration_ms"`
}

// Detail is what else a probe saw.
type Detail struct {
	// Message is a sentence for people: the error's text, or why it was skipped.
	Message string `json:"message,omitempty"`
	// Dials are the addresses that were tried, in the order of their answers.
	Dials []Dial `json:"dials,omitempty"`
	// Values are observations by name, such as "status": "200", "addresses": "198.51.100.10".
	Values map[string]string `json:"values,omitempty"`
	// Output is the end of what a command printed, at most 4 KiB.
	Output string `json:"output,omitempty"`
}

// Result is one observation.
type Result struct {
	Place
	Round   string  `json:"round"`
	Probe   string  `json:"probe"`
	Target  string  `json:"target"`
	Attempt int     `json:"attempt"`
	Outcome Outcome `json:"outcome"`
	Reason  Reason  `json:"reason,omitempty"`
	// Start is in UTC; DurationMS in milliseconds.
	Start      time.Time `json:"start"`
	DurationMS int64     `json:"duration_ms"`
	Detail     Detail    `json:"detail"`
}

// Ref is how evidence points at the result:
// results/PLACE/ROUND/PROBE/TARGET#ATTEMPT.
func (r Result) Ref() string {
	return fmt.Sprintf("results/%s/%s/%s/%s#%d", r.Key(), r.Round, r.Probe, strings.ReplaceAll(r.Target, "#", "%23"), r.Attempt)
}

// FactsRef is how evidence points at a fact of a place: facts/PLACE/NAME.
func FactsRef(p Place, name string) string { return "facts/" + p.Key() + "/" + name }
