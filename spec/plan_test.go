package spec_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/report"
	"github.com/nestlab/nestlab/spec"
)

func environments(p model.Plan) []string {
	var names []string
	for _, i := range p.Items {
		if i.Skip == "" {
			names = append(names, i.String())
		}
	}
	return names
}

func TestPlan(t *testing.T) {
	t.Parallel()
	both := []string{"dind distro/build-time", "dind-inner distro/build-time", "dind distro/runtime", "dind-inner distro/runtime"}
	all := append([]string{"runner", "container"}, both...)
	simulate := func(r spec.RunnerKind, environments, scenarios []string) spec.Planned {
		s := spec.NewSimulation()
		s.Runner, s.Environments, s.Scenarios = r, environments, scenarios
		return s
	}
	dind := spec.NewDind()
	dind.Phase = spec.Runtime
	for name, c := range map[string]struct {
		asked spec.Planned
		want  []string
	}{
		"build time":                          {spec.NewDind(), both[:2]},
		"runtime":                             {dind, both[2:]},
		"compare":                             {spec.NewCompare(), append([]string{"container"}, both...)},
		"simulate":                            {simulate(spec.Namespaced, nil, nil), append(all[:6:6], "lxd-container", "qemu-bridge", "qemu-user")},
		"emulated":                            {simulate(spec.Emulated, nil, nil), append(all[:6:6], "lxd-container", "lxd-vm", "qemu-bridge", "qemu-user")},
		"one name":                            {simulate(spec.Namespaced, []string{"runner"}, nil), []string{"runner"}},
		"patterns":                            {simulate(spec.Namespaced, []string{"lxd-*", "qemu-*"}, nil), []string{"lxd-container", "qemu-bridge", "qemu-user"}},
		"the inner one brings its daemon":     {simulate(spec.Namespaced, []string{"dind-inner"}, nil), both},
		"the outer one alone":                 {simulate(spec.Namespaced, []string{"dind"}, nil), []string{both[0], both[2]}},
		"no inner one without it":             {simulate(spec.Namespaced, []string{"container", "dind-inner", "!dind"}, nil), []string{"container"}},
		"all but":                             {simulate(spec.Namespaced, []string{"!dind*", "!lxd-*", "!qemu-*"}, nil), []string{"runner", "container"}},
		"some but":                            {simulate(spec.Namespaced, []string{"*container", "!lxd-*"}, nil), []string{"container"}},
		"scenarios beside the control":        {simulate(spec.Namespaced, nil, []string{"snap", "nic-models/e1000"}), []string{"runner", "qemu-bridge nic-models/e1000", "lxd-container snap"}},
		"no virtual machine for scenarios":    {simulate(spec.Emulated, nil, []string{"ping"}), []string{"runner", "lxd-container ping"}},
		"scenarios where they are named":      {simulate(spec.Namespaced, []string{"lxd-*"}, []string{"snap", "nic-models/e1000"}), []string{"lxd-container", "lxd-container snap"}},
		"a virtual machine where it is named": {simulate(spec.Emulated, []string{"lxd-vm"}, []string{"ping"}), []string{"lxd-vm", "lxd-vm ping"}},
		"vm":                                  {hostRun(nil, nil), []string{"runner", "lxd-container", "lxd-vm", "qemu-bridge", "qemu-user"}},
		"vm, scenarios":                       {hostRun([]string{"runner"}, []string{"ping"}), []string{"runner", "lxd-container ping", "lxd-vm ping"}},
		"vm, scenarios in what is named":      {hostRun([]string{"lxd-vm"}, []string{"ping"}), []string{"lxd-vm", "lxd-vm ping"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, err := c.asked.Plan()
			require.NoError(t, err)
			require.Equal(t, c.want, environments(p))
			require.Equal(t, string(c.asked.Command()), p.Command)
		})
	}
}

func hostRun(environments, scenarios []string) spec.HostRun {
	h := spec.NewHostRun()
	h.Image, h.Environments, h.Scenarios = "x", environments, scenarios
	return h
}

// The suite about KVM is the runner's where virtual machines are wanted on it.
func TestRunnerHasTheMachinesSuite(t *testing.T) {
	t.Parallel()
	few := spec.NewSimulation()
	few.Environments = []string{"runner", "lxd-*"}
	for _, c := range []struct {
		asked spec.Planned
		want  []string
	}{
		{spec.NewSimulation(), []string{"network", "packages", "docker", "machines"}},
		{few, []string{"network", "packages", "docker"}},
		{hostRun(nil, nil), []string{"network", "packages", "machines"}},
	} {
		p, err := c.asked.Plan()
		require.NoError(t, err)
		require.Equal(t, c.want, p.Items[0].Suites)
	}
	h := hostRun(nil, nil)
	p, err := h.PlanOn(spec.Host{})
	require.NoError(t, err)
	require.Equal(t, []string{"network", "packages"}, p.Items[0].Suites)
}

func TestPlanRefuses(t *testing.T) {
	t.Parallel()
	s := spec.NewSimulation()
	for _, c := range []struct {
		environments, scenarios []string
		runner                  spec.RunnerKind
		says                    string
	}{
		{[]string{"toaster"}, nil, spec.Namespaced, "simulate has runner, bridge, container, dind"},
		{[]string{"!dnd"}, nil, spec.Namespaced, `"!dnd"`},
		{[]string{"[a"}, nil, spec.Namespaced, "invalid pattern"},
		{[]string{"!*"}, nil, spec.Namespaced, "nothing is left"},
		{[]string{"lxd-*"}, []string{"*"}, spec.Emulated, "name 4 at most"},
	} {
		s.Environments, s.Scenarios, s.Runner = c.environments, c.scenarios, c.runner
		_, err := s.Plan()
		require.ErrorContains(t, err, c.says)
	}
}

// What cannot be on a host, or has no effect there, is refused.
func TestHostRunRefuses(t *testing.T) {
	t.Parallel()
	const elsewhere = "LXD at https://192.0.2.1:8443 runs on another"
	for _, c := range []struct {
		change func(*spec.HostRun)
		host   spec.Host
		says   string
	}{
		{func(h *spec.HostRun) { h.Environments = []string{"dind"} }, spec.Host{}, `unknown environment "dind": vm has runner, lxd-container, lxd-vm`},
		{func(h *spec.HostRun) { h.Image = "" }, spec.Host{}, "--image is missing"},
		{func(h *spec.HostRun) { h.Environments, h.Intervene = []string{"lxd-vm"}, true }, spec.Host{}, "needs runner"},
		{func(h *spec.HostRun) { h.Environments = []string{"runner", "lxd-vm"} }, spec.Host{Elsewhere: elsewhere}, "runner is this machine, and " + elsewhere},
		{func(h *spec.HostRun) { h.Intervene = true }, spec.Host{Elsewhere: elsewhere}, "--intervene changes this machine, and " + elsewhere},
		{func(h *spec.HostRun) { h.Environments = []string{"lxd-vm"} }, spec.Host{Elsewhere: elsewhere, Guests: true}, "--guest makes guests on this machine"},
		{func(h *spec.HostRun) { h.Environments = []string{"qemu-user"} }, spec.Host{}, "--guest is missing: qemu-user boots"},
		{func(h *spec.HostRun) { h.Environments, h.Family = []string{"runner"}, spec.FamilyV4 }, spec.Host{}, "none is asked for"},
		{func(h *spec.HostRun) { h.Free = []string{"192.0.2.1"} }, spec.Host{}, "--free-address 192.0.2.1"},
		{func(h *spec.HostRun) { h.Devices = []string{"eth0,network=br0"} }, spec.Host{}, "name the network with --network"},
	} {
		h := hostRun(nil, nil)
		c.change(&h)
		_, err := h.PlanOn(c.host)
		require.ErrorContains(t, err, c.says)
	}
}

// A comparison is joined from the runs of its parts: what is planned for it is what they
// are planned to be.
func TestCompareIsItsParts(t *testing.T) {
	t.Parallel()
	c := spec.NewCompare()
	want, err := c.Plan()
	require.NoError(t, err)
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	runs := []model.Run{{ID: "0", Start: start, Plan: model.Plan{
		Command: "host-step", Internet: want.Internet, Targets: want.Targets, Platform: want.Platform, Items: want.Items[:1],
	}}}
	for i, d := range c.Dinds() {
		p, err := d.Plan()
		require.NoError(t, err)
		runs = append(runs, model.Run{ID: string(d.Phase), Start: start.Add(time.Duration(i+1) * time.Minute), Plan: p})
	}
	joined, err := report.Merge(runs...)
	require.NoError(t, err)
	require.ElementsMatch(t, want.Items, joined.Plan.Items)
	require.Equal(t, want.Platform, joined.Plan.Platform)
	require.Equal(t, want.Targets, joined.Plan.Targets)
}

// A question about a command gets that command's plan, and what has no effect is refused.
func TestQuestion(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		asked spec.Question
		want  spec.Planned
	}{
		{spec.Question{Command: spec.CommandSimulate}, spec.NewSimulation()},
		{spec.Question{Command: spec.CommandBuildTime}, spec.NewDind()},
		{spec.Question{Command: spec.CommandCompare}, spec.NewCompare()},
		{spec.Question{Command: spec.CommandVM}, hostRun(nil, nil)},
	} {
		got, err := c.asked.Plan()
		require.NoError(t, err)
		want, err := c.want.Plan()
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	for _, c := range []struct {
		asked spec.Question
		says  string
	}{
		{spec.Question{Command: "dance"}, `unknown command "dance": use one of simulate, compare`},
		{spec.Question{Command: spec.CommandSimulate, Internet: spec.Live}, "--internet has no effect on simulate"},
		{spec.Question{Command: spec.CommandCompare, Scenarios: []string{"snap"}}, "--scenarios has no effect on compare"},
		{spec.Question{Command: spec.CommandRuntime, Environments: []string{"dind"}}, "--environments has no effect on runtime"},
		{spec.Question{Command: spec.CommandVM, Runner: spec.Emulated}, "--runner has no effect on vm"},
		{spec.Question{Command: spec.CommandRuntime, Internet: "dial-up"}, `unknown internet "dial-up"`},
	} {
		_, err := c.asked.Plan()
		require.ErrorContains(t, err, c.says)
	}
}
