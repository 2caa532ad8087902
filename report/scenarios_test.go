package report_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/model/modeltest"
	"github.com/nestlab/nestlab/report"
)

// Scenarios are rows of a table of their own, those that were not run too.
func TestScenariosAreRows(t *testing.T) {
	t.Parallel()
	run := modeltest.Healthy()
	tried := model.Place{Environment: model.EnvLXDContainer, Scenario: "ipv4-only"}
	result := func(target string, o model.Outcome, r model.Reason) model.Result {
		return model.Result{Place: tried, Round: model.RoundBaseline, Probe: model.ProbeTCP, Target: target, Attempt: 1, Outcome: o, Reason: r}
	}
	run.Results = append(run.Results,
		result("a.test:1", model.Fail, model.ConnectTimeout), result("b.test:1", model.Fail, model.ConnectTimeout), result("c.test:1", model.Pass, ""))
	run.Setups = append(run.Setups, model.Timing{Place: tried, Step: model.StepStart, DurationMS: 2500})
	run.Plan.Items = append(run.Plan.Items,
		model.PlanItem{Place: tried, Suites: []string{"network"}},
		model.PlanItem{Place: model.Place{Environment: model.EnvQEMUBridge, Scenario: "nic-models/e1000"}, Skip: "no QEMU here"})
	require.NoError(t, report.Validate([]byte(encoded(t, run))))

	var text strings.Builder
	require.NoError(t, report.Table(&text, run))
	comparison, rest, found := strings.Cut(text.String(), "Scenarios, each differing from its baseline in one thing")
	require.True(t, found)
	require.NotContains(t, comparison, "ipv4-only")
	require.NotContains(t, comparison, "a.test:1", "a row that only scenarios have")
	require.Contains(t, comparison, "not run: qemu-bridge nic-models/e1000: no QEMU here")
	require.Regexp(t, `ipv4-only +│ lxd-container +│ 2 FAIL +│ 2\.5`, rest)
	require.Contains(t, rest, "1 pass")
	require.Regexp(t, `nic-models/e1000 +│ qemu-bridge +│ skip`, rest)

	var md strings.Builder
	require.NoError(t, report.Markdown(&md, run))
	require.Contains(t, md.String(), "## Scenarios")
	require.Contains(t, md.String(), "| ipv4-only | lxd-container | 2 FAIL connect-timeout<br>1 pass | 2.5 |")
}
