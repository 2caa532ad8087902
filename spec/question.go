package spec

import (
	"errors"
	"fmt"

	"github.com/nestlab/nestlab/model"
)

// Question asks what a command would run. Its fields are those of the commands that a plan
// depends on; one that the command does not have is to be empty.
type Question struct {
	Command                 Command
	Internet                Internet
	Method                  Method
	Environments, Scenarios []string
	Runner                  RunnerKind
}

// Plan is what the command would run.
func (q Question) Plan() (model.Plan, error) {
	r, err := q.request()
	if err != nil {
		return model.Plan{}, err
	}
	return r.Plan()
}

func (q Question) request() (Planned, error) {
	switch err := Check(q.Command); q.Command {
	case CommandSimulate:
		s := NewSimulation()
		s.Environments, s.Scenarios = q.Environments, q.Scenarios
		if q.Runner != "" {
			s.Runner = q.Runner
		}
		return s, q.without("--internet", string(q.Internet), "--method", string(q.Method))
	case CommandVM:
		h := NewHostRun()
		h.Environments, h.Scenarios, h.Image = q.Environments, q.Scenarios, "any"
		return h, q.without("--internet", string(q.Internet), "--method", string(q.Method), "--runner", string(q.Runner))
	case CommandCompare:
		return Compare{q.setup()}, q.container()
	case CommandBuildTime, CommandRuntime:
		d := NewDind()
		d.Setup, d.Phase = q.setup(), Phase(q.Command)
		return d, q.container()
	default:
		return nil, err
	}
}

func (q Question) setup() Setup {
	s := NewSetup()
	if q.Internet != "" {
		s.Internet = q.Internet
	}
	if q.Method != "" {
		s.Method = q.Method
	}
	return s
}

// container refuses what the commands of containers alone do not have.
func (q Question) container() error {
	first := func(patterns []string) string {
		if len(patterns) == 0 {
			return ""
		}
		return patterns[0]
	}
	return q.without("--environments", first(q.Environments), "--scenarios", first(q.Scenarios), "--runner", string(q.Runner))
}

// without refuses flags that have a value, but no effect.
func (q Question) without(flags ...string) (err error) {
	for i := 0; i < len(flags); i += 2 {
		if flags[i+1] != "" {
			err = errors.Join(err, fmt.Errorf("%s has no effect on %s: leave it out", flags[i], q.Command))
		}
	}
	return err
}
