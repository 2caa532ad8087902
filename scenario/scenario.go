// Package scenario is the catalogue of what people try when a guest has no
// network or Docker does not get into it: each differs from the baseline in one
// thing. It is pure; package scenario/realize makes them.
package scenario

import (
	"fmt"
	"slices"
	"strings"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/spec/selection"
)

// The scenarios.
const (
	Runner            = "runner"
	Baseline          = "baseline"
	IPv4Only          = "ipv4-only"
	TunedMTU          = "bridge-tuned/mtu"
	TunedNAT          = "bridge-tuned/nat"
	TunedFirewall     = "bridge-tuned/firewall"
	TunedDHCP         = "bridge-tuned/dhcp"
	TunedDNS          = "bridge-tuned/dns"
	VirtioNet         = "nic-models/virtio-net"
	VMXNet3           = "nic-models/vmxnet3"
	E1000             = "nic-models/e1000"
	E1000E            = "nic-models/e1000e"
	RTL8139           = "nic-models/rtl8139"
	Offloads          = "nic-models/no-offloads"
	Proxy             = "alternative-network/proxy"
	ProxyDevice       = "alternative-network/proxy-device"
	Macvlan           = "alternative-network/macvlan"
	Routed            = "alternative-network/routed"
	TapOnDocker0      = "alternative-network/tap-on-docker0"
	UserMode          = "alternative-network/user-mode"
	Retries           = "retries"
	Snap              = "snap"
	Cached            = "cached"
	ConvenienceScript = "convenience-script"
	Ping              = "ping"
)

// Scenario is one thing to try.
type Scenario struct {
	Name string
	// Changes says what is different from the baseline, Why why one would try it.
	Changes, Why string
	// Environments are those in which it can be tried.
	Environments []string
	// Install is how Docker is installed before the place is probed: a method of
	// dind.Guest; empty for no Docker.
	Install string
	// Probes are the only ones that are made; all if empty.
	Probes []string
	// Retries is how often what fails for a while is tried again, on top of what the run says.
	Retries int
	// NIC is QEMU's model of the guest's network card; empty is virtio-net-pci.
	NIC string
	// Kernel asks for a stock kernel: the small one of the guest has drivers for
	// virtual hardware alone.
	Kernel bool
}

// Family is what is before the slash of a name, or all of it.
func (s Scenario) Family() string {
	family, _, _ := strings.Cut(s.Name, "/")
	return family
}

// Suites are the probe suites of a place of the scenario.
func (s Scenario) Suites() []string {
	suites := []string{"network", "packages"}
	switch {
	case len(s.Probes) > 0:
		return []string{"network"}
	case s.Install != "" || s.Name == Runner:
		return append(suites, "docker")
	}
	return suites
}

// In is the scenario's place in an environment. The control is the runner as it is.
func (s Scenario) In(environment string) model.Place {
	if s.Name == Runner {
		return model.Place{Environment: model.EnvRunner}
	}
	return model.Place{Environment: environment, Scenario: s.Name}
}

// Names lists the catalogue.
func Names() []string {
	var names []string
	for _, s := range All() {
		names = append(names, s.Name)
	}
	return names
}

// Select keeps what fits the patterns: names, families, or patterns of either,
// with ! before what is to be left out. No pattern means none: scenarios are to be
// asked for.
func Select(patterns []string) ([]Scenario, error) {
	if len(patterns) == 0 {
		return nil, nil
	}
	pattern, missed, err := selection.Misses(Names(), patterns)
	if missed {
		return nil, fmt.Errorf("unknown scenario %q: there are %s", pattern, strings.Join(Names(), ", "))
	}
	if err != nil {
		return nil, err
	}
	var kept []Scenario
	for _, s := range All() {
		keep, err := selection.Selected(s.Name, patterns)
		if err != nil {
			return nil, err
		}
		if keep {
			kept = append(kept, s)
		}
	}
	if len(kept) == 0 {
		return nil, fmt.Errorf("nothing is left to run: no scenario fits %s", strings.Join(patterns, ", "))
	}
	return kept, nil
}

// Items are the plan's rows of scenarios where some environments are available: a
// row for each environment that a scenario can be tried in, and one that says why
// not where there is none. The runner, a row of every plan, is no row here.
func Items(scenarios []Scenario, available []string) []model.PlanItem {
	items := []model.PlanItem{}
	for _, s := range scenarios {
		if s.Name == Runner {
			continue
		}
		found := false
		for _, e := range s.Environments {
			if slices.Contains(available, e) {
				found = true
				items = append(items, model.PlanItem{Place: s.In(e), Suites: s.Suites()})
			}
		}
		if !found {
			items = append(items, model.PlanItem{Place: s.In(s.Environments[0]), Suites: s.Suites(),
				Skip: "it needs " + strings.Join(s.Environments, " or ") + ", which is not available, or not selected"})
		}
	}
	return items
}

// MostVMs is how many scenarios a simulation tries in LXD's virtual machines: all are
// there from its start to its end, in the memory of one emulated runner.
const MostVMs = 4

// VMs is how many scenarios are tried in LXD's virtual machines: they are where that is
// named among the environments.
func VMs(scenarios []Scenario, environments []string) int {
	n := 0
	for _, s := range scenarios {
		if slices.Contains(environments, model.EnvLXDVM) && slices.Contains(s.Environments, model.EnvLXDVM) {
			n++
		}
	}
	return n
}

// Fit says why the scenarios cannot be tried in these environments of a simulation; nil
// where they can.
func Fit(scenarios []Scenario, environments []string) error {
	if n := VMs(scenarios, environments); n > MostVMs {
		return fmt.Errorf("%d scenarios in %s are more virtual machines than the emulated runner has memory for: name %d at most, and the others in another call", n, model.EnvLXDVM, MostVMs)
	}
	return nil
}

// NeedStockKernel reports whether any scenario that fits the patterns wants a
// guest with a stock kernel.
func NeedStockKernel(patterns []string) bool {
	chosen, err := Select(patterns)
	return err == nil && slices.ContainsFunc(chosen, func(s Scenario) bool { return s.Kernel })
}
