package report_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/report"
)

func TestPlan(t *testing.T) {
	t.Parallel()
	p := model.Plan{Command: "compare", Internet: "live", Items: []model.PlanItem{
		{Place: model.Place{Environment: "container"}, Suites: []string{"network", "packages"}},
		{Place: model.Place{Environment: "dind", Setup: "distro/build-time"}, Suites: []string{"network", "packages", "docker"}},
	}}
	require.Equal(t, `compare, internet live: 2 environments

ENVIRONMENT  SETUP              SUITES
container    -                  network, packages
dind         distro/build-time  network, packages, docker
`, report.Plan(p))
	p.Items = append(p.Items,
		model.PlanItem{Place: model.Place{Environment: "qemu-bridge", Scenario: "nic-models/e1000"}, Suites: []string{"network"}},
		model.PlanItem{Place: model.Place{Environment: "lxd-vm", Scenario: "ping"}, Suites: []string{"network"}, Skip: "it needs KVM"})
	require.Equal(t, `compare, internet live: 4 environments

ENVIRONMENT  SCENARIO          SETUP              SUITES
container    -                 -                  network, packages
dind         -                 distro/build-time  network, packages, docker
qemu-bridge  nic-models/e1000  -                  network
lxd-vm       ping              -                  skipped: it needs KVM
`, report.Plan(p))
}
