package spec

import (
	"errors"
	"fmt"
	"slices"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/scenario"
)

// Simulation asks for the comparison in a simulated runner.
type Simulation struct {
	// Order is the order in which the daemons start.
	Order Order `json:"order"`
	// DockerFrom is the suite whose Docker the runner has; empty for the installed one.
	DockerFrom DockerSuite `json:"docker_from,omitempty"`
	// Environments are patterns of names; none means all, or the runner alone where there
	// are scenarios.
	Environments []string `json:"environments,omitempty"`
	// Scenarios are patterns of scenarios' names; none means none.
	Scenarios []string `json:"scenarios,omitempty"`
	// Faults are those that the runner is broken by. They stay outside of it: see Blind.
	Faults []string `json:"faults,omitempty"`
	// IPv6 gives the runner, its bridges and its internet IPv6 that works.
	IPv6 bool `json:"ipv6,omitempty"`
	// Runner is the form of the runner.
	Runner RunnerKind `json:"runner"`
	// Intervene allows the change that proves a cause.
	Intervene bool `json:"intervene"`
	// Retries is number of retries after a transient failure.
	Retries int `json:"retries"`
	// TimeoutScale is how many times longer than usual everything may take.
	TimeoutScale int `json:"timeout_scale"`
}

// maxTimeoutScale is for an emulated processor on a busy machine.
const maxTimeoutScale = 10

// NewSimulation is a request with the defaults.
func NewSimulation() Simulation {
	return Simulation{Order: DockerFirst, Runner: Namespaced, Intervene: true, TimeoutScale: 1}
}

// Command implements Request.
func (Simulation) Command() Command { return CommandSimulate }

// Blind is what the part inside the runner may know, which probes and diagnoses: all but
// the faults.
func (s Simulation) Blind() Simulation {
	s.Faults = nil
	return s
}

// Validate implements Request.
func (s Simulation) Validate() error {
	_, err := s.Plan()
	return err
}

func (s Simulation) check() error {
	err := errors.Join(Check(s.Order), Check(s.Runner), checkRetries(s.Retries), checkFaults(s.Faults), checkScenarios(s.Scenarios))
	if s.DockerFrom != "" {
		err = errors.Join(err, Check(s.DockerFrom))
	}
	if s.TimeoutScale < 1 || s.TimeoutScale > maxTimeoutScale {
		err = errors.Join(err, fmt.Errorf("a timeout scale of %d: give 1 to %d", s.TimeoutScale, maxTimeoutScale))
	}
	return err
}

// Plan implements Planned.
func (s Simulation) Plan() (model.Plan, error) {
	if err := s.check(); err != nil {
		return model.Plan{}, err
	}
	rows := slices.DeleteFunc(Environments(CommandSimulate), func(e Environment) bool { return !slices.Contains(e.Runners, s.Runner) })
	patterns := s.Environments
	if len(patterns) == 0 && len(s.Scenarios) > 0 {
		patterns = []string{model.EnvRunner}
	}
	kept, err := choose(CommandSimulate, rows, patterns)
	if err != nil {
		return model.Plan{}, err
	}
	p := model.Plan{
		Command: string(CommandSimulate), Internet: string(Simulated), Targets: string(Simulated), Platform: model.PlatformSimulated,
		Order: string(s.Order), DockerFrom: string(s.DockerFrom), IPv6: s.IPv6, Intervene: s.Intervene, Items: items(kept, Distro, Phase("").Values()...),
	}
	addSuites(p.Items, kept)
	more, err := s.scenarios(rows, kept)
	p.Items = append(p.Items, more...)
	return p, err
}

// scenarios are the rows of the plan's scenarios. Those in LXD's virtual machines are
// where the environments name that.
func (s Simulation) scenarios(rows, kept []Environment) ([]model.PlanItem, error) {
	chosen, err := scenario.Select(s.Scenarios)
	if err != nil {
		return nil, err
	}
	var available []string
	for _, e := range rows {
		if e.Scenarios && (len(s.Environments) == 0 && !e.Named || len(s.Environments) > 0 && slices.Contains(names(kept), e.Name)) {
			available = append(available, e.Name)
		}
	}
	all := scenario.Items(chosen, available)
	return all, errors.Join(untried(all), scenario.Fit(chosen, names(kept)))
}
