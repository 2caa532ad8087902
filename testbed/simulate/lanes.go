package simulate

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/nestlab/nestlab/dind"
	"github.com/nestlab/nestlab/host/networks"
	"github.com/nestlab/nestlab/host/standin"
	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/session"
	"github.com/nestlab/nestlab/spec"
	"github.com/nestlab/nestlab/spec/targets"
)

// look carries one session out.
func (r *runner) look(ctx context.Context, asked Session, started error) error {
	plan, err := asked.plan(r.config.Request)
	if err != nil {
		return err
	}
	aim, err := r.config.targets(asked.Deadlines)
	if err != nil {
		return err
	}
	s, err := r.session(plan, aim)
	if err != nil {
		return err
	}
	return s.Write(ctx, asked.Out, plan, r.config.Version, started)
}

// plan is that of one look at a runner that was made for a request.
func (s Session) plan(request spec.Simulation) (model.Plan, error) {
	if len(s.Environments) > 0 {
		request.Environments = s.Environments
	}
	plan, err := request.Plan()
	if err != nil || len(s.Suites) == 0 {
		return plan, err
	}
	for i, row := range plan.Items {
		plan.Items[i].Suites = slices.DeleteFunc(slices.Clone(row.Suites), func(suite string) bool { return !slices.Contains(s.Suites, suite) })
	}
	return plan, nil
}

// lanes are the plan's environments: the times of Docker's are compared, and under
// emulation each guest takes a whole processor to boot.
func (r *runner) lanes(plan model.Plan, aim []byte) ([][]session.Environment, error) {
	set, err := targets.Parse(bytes.NewReader(aim))
	if err != nil {
		return nil, err
	}
	tries, err := r.scenarios(set)
	if err != nil {
		return nil, err
	}
	return session.Lanes(plan.Items, lane, func(row model.PlanItem) (session.Environment, error) {
		if row.Scenario != "" {
			return tries.Environment(row)
		}
		return r.environment(row.Place)
	})
}

// lane names the one that a row is in.
func lane(row model.PlanItem) string {
	e, _ := spec.FindEnvironment(row.Environment)
	if name := string(e.Group); row.Scenario != "" || e.Group != spec.GroupLXD {
		return name + map[bool]string{true: " scenarios"}[row.Scenario != ""]
	}
	return row.Environment
}

// environment makes one as it is without a scenario.
func (r *runner) environment(place model.Place) (session.Environment, error) {
	switch place.Environment {
	case model.EnvRunner:
		return &session.Local{At: place}, nil
	case model.EnvBridge:
		return r.standIn(place)
	case model.EnvContainer:
		return &dind.Container{At: place, Host: "unix://" + dind.DefaultSocket, Image: spec.BaseImage, Binary: r.config.binary}, nil
	case model.EnvDind, model.EnvDindInner:
		return r.nested(place)
	case model.EnvLXDContainer, model.EnvLXDVM:
		i := r.instance(place.Environment)
		return &i, nil
	case model.EnvQEMUBridge, model.EnvQEMUUser:
		guest := r.machine(place.Environment, false)
		return &guest, nil
	}
	return nil, fmt.Errorf("a simulated runner has no environment %q", place.Environment)
}

// standIn is what stands in for a guest of a bridge.
func (r *runner) standIn(place model.Place) (session.Environment, error) {
	all, unasked, err := networks.Find(context.Background(), networks.Options{})
	for _, n := range all {
		if n.Bridge == place.Name {
			return &standin.StandIn{Network: n, Dir: r.config.State, Resolvers: standin.HostResolvers("/etc/resolv.conf")}, nil
		}
	}
	return &standin.StandIn{Network: networks.Network{Bridge: place.Name}}, errors.Join(append(unasked, err)...)
}

// nested is Docker-in-Docker at one phase, or the container in it.
func (r *runner) nested(place model.Place) (session.Environment, error) {
	for _, phase := range spec.Phase("").Values() {
		nested := dind.Nested{
			Host: "unix://" + dind.DefaultSocket, Base: spec.BaseImage, Binary: r.config.binary, Phase: phase, First: spec.HelloImage,
			Dir: filepath.Join(r.config.State, "dind-"+string(phase)), Certs: r.certs(),
			Install: dind.Install{Origin: spec.Origin{Method: spec.Distro}, Sources: []string{spec.AptSource}},
			Ready:   r.config.wait(time.Minute), Containerd: r.config.InMachine,
		}
		for _, env := range nested.Environments() {
			if env.Place() == place {
				return env, nil
			}
		}
	}
	return nil, fmt.Errorf("no Docker-in-Docker is set up as %q", place.Setup)
}
