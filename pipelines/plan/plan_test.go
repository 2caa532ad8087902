package plan_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/pipelines/plan"
)

func environments(p model.Plan) []string {
	var names []string
	for _, i := range p.Items {
		names = append(names, i.String())
	}
	return names
}

func TestFor(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, command, internet string
		only                    []string
		want                    []string
	}{
		{"build time", plan.BuildTime, plan.Live, nil, []string{"dind distro/build-time", "dind-inner distro/build-time"}},
		{"one name", plan.Simulate, plan.Live, []string{"runner"}, []string{"runner"}},
		{"patterns", plan.Simulate, plan.Simulated, []string{"lxd-*", "qemu-*"}, []string{"lxd-container", "qemu-bridge", "qemu-user"}},
		{"the inner one brings its daemon", plan.Runtime, plan.Live, []string{"dind-inner"}, []string{"dind distro/runtime", "dind-inner distro/runtime"}},
		{"the outer one alone", plan.Runtime, plan.Live, []string{"dind"}, []string{"dind distro/runtime"}},
		{"no inner one without it", plan.Compare, plan.Live, []string{"!dind"}, []string{"container"}},
		{"all but", plan.Compare, plan.Live, []string{"!dind*"}, []string{"container"}},
		{"some but", plan.Simulate, plan.Live, []string{"*container", "!lxd-*"}, []string{"container"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p, err := plan.For(c.command, c.internet, "distro", c.only)
			require.NoError(t, err)
			require.Equal(t, c.want, environments(p))
		})
	}
}

func TestSimulationIsAlwaysSimulated(t *testing.T) {
	t.Parallel()
	p, err := plan.For(plan.Simulate, plan.Live, "distro", nil)
	require.NoError(t, err)
	require.Equal(t, plan.Simulated, p.Internet)
	require.Equal(t, model.EnvRunner, p.Items[0].Environment, "the control comes first")
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, command, internet string
		only                    []string
		says                    string
	}{
		{"command", "dance", plan.Live, nil, "simulate, compare, build-time, runtime"},
		{"internet", plan.Compare, "dial-up", nil, "live or simulated"},
		{"environment", plan.Runtime, plan.Live, []string{"lxd-container"}, "runtime has dind, dind-inner"},
		{"misspelt exclusion", plan.Compare, plan.Live, []string{"!dnd"}, `"!dnd"`},
		{"broken pattern", plan.Compare, plan.Live, []string{"[a"}, "broken"},
		{"nothing left", plan.Compare, plan.Live, []string{"!*"}, "nothing is left"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := plan.For(c.command, c.internet, "distro", c.only)
			require.ErrorContains(t, err, c.says)
		})
	}
}

func TestScenarios(t *testing.T) {
	t.Parallel()
	p, err := plan.Asked{Command: plan.Simulate, Method: "distro", Scenarios: []string{"snap", "nic-models/e1000"}}.With()
	require.NoError(t, err)
	require.Equal(t, []string{"runner", "qemu-bridge nic-models/e1000", "lxd-container snap"}, environments(p))
	require.Equal(t, `simulate, internet simulated: 3 places

ENVIRONMENT    SCENARIO          SETUP  SUITES
runner         -                 -      network, packages, docker
qemu-bridge    nic-models/e1000  -      network, packages
lxd-container  snap              -      network, packages, docker
`, plan.Text(p))

	p, err = plan.Asked{Command: plan.Simulate, Method: "distro", Only: []string{"lxd-*"}, Scenarios: []string{"snap", "nic-models/e1000"}}.With()
	require.NoError(t, err)
	require.Equal(t, []string{"lxd-container", "qemu-bridge nic-models/e1000", "lxd-container snap"}, environments(p))
	require.Contains(t, plan.Text(p), "skipped: it needs qemu-bridge")
	require.Equal(t, []string{"lxd-container"}, plan.Names(p), "what a skipped row needs is not run for it")

	p, err = plan.Asked{Command: plan.Simulate, Method: "distro", Only: []string{"lxd-vm"}, Scenarios: []string{"ping"}, Emulated: true}.With()
	require.NoError(t, err)
	require.Equal(t, []string{"lxd-vm", "lxd-vm ping"}, environments(p))

	_, err = plan.Asked{Command: plan.Simulate, Method: "distro", Only: []string{"lxd-*"}, Scenarios: []string{"*"}, Emulated: true}.With()
	require.ErrorContains(t, err, "name 4 at most")

	_, err = plan.Asked{Command: plan.Compare, Internet: plan.Live, Method: "distro", Emulated: true}.With()
	require.ErrorContains(t, err, "an emulated runner is of simulate, not of compare")

	_, err = plan.Asked{Command: plan.Compare, Internet: plan.Live, Method: "distro", Scenarios: []string{"snap"}}.With()
	require.ErrorContains(t, err, "scenarios are of simulate")
}

func TestText(t *testing.T) {
	t.Parallel()
	p, err := plan.For(plan.Compare, plan.Live, "distro", []string{"container", "dind"})
	require.NoError(t, err)
	require.Equal(t, `compare, internet live: 3 places

ENVIRONMENT  SETUP              SUITES
container    -                  network, packages
dind         distro/build-time  network, packages, docker
dind         distro/runtime     network, packages, docker
`, plan.Text(p))
	require.Equal(t, []string{"container", "dind"}, plan.Names(p))
}
