package diagnose_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/diagnose"
	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/model/modeltest"
)

// innerLost is a run whose nested daemon's containers get no answer, while the environment of
// that daemon does.
func innerLost(why model.Reason) (model.Run, *model.Facts) {
	run := full()
	inner := modeltest.DindRun
	inner.Environment = model.EnvDindInner
	for _, r := range run.Results {
		if r.Place == modeltest.DindRun && (r.Probe == model.ProbeTCP || r.Probe == model.ProbeHTTP || r.Probe == model.ProbeDNSA) {
			r.Place = inner
			fails(why)(&r)
			run.Results = append(run.Results, r)
		}
	}
	f := *factsOf(&run, modeltest.DindRun)
	f.Place = inner
	f.Interfaces = []model.Interface{{Name: "eth0", Type: "veth", Up: true, Addresses: []string{"172.18.0.2/16"}}}
	f.Routes = []model.Route{{Destination: "default", Gateway: "172.18.0.1", Device: "eth0"}}
	run.Facts = append(run.Facts, f)
	return run, factsOf(&run, modeltest.DindRun)
}

// TestAFaultOfTheNestedDaemonAlone: that its own environment gets answers contradicts nothing.
func TestAFaultOfTheNestedDaemonAlone(t *testing.T) {
	t.Parallel()
	none, off := 0, false
	for name, test := range map[string]struct {
		read  func(*model.Facts)
		cause string
		says  string
	}{
		"no NAT":        {func(f *model.Facts) { f.SourceNAT = &none }, diagnose.CauseDockerdIPTables, "no rule in dind distro/runtime translates"},
		"no forwarding": {func(f *model.Facts) { f.IPForward = &off }, diagnose.CauseIPForwardOff, "ip_forward is off in dind distro/runtime"},
		"a firewall": {func(f *model.Facts) {
			f.Forward = []model.ForwardChain{{Family: "inet", Table: "filter", Chain: "forward", Policy: "DROP"}}
		}, diagnose.CauseFirewallForwardDrop, "chain inet filter forward in dind distro/runtime is DROP"},
	} {
		for _, why := range []model.Reason{model.ConnectTimeout, model.DNSTimeout, model.Refused, model.Unreachable} {
			run, outer := innerLost(why)
			test.read(outer)
			d := diagnose.Diagnose(run)
			require.Equal(t, test.cause, d.Cause, "%s, %s: %s", name, why, d.Summary)
			require.Contains(t, evidenceText(d), test.says, why)
			require.Equal(t, []string{"dind-inner distro/runtime"}, d.Environments)
			require.Nil(t, d.Remedy, "the runner's remedies are none for it")
			require.Contains(t, d.Summary, "dind distro/runtime", name)
			requireResolved(t, run, d)
		}
	}
	run, _ := innerLost(model.ConnectTimeout)
	require.Equal(t, model.Undetermined, diagnose.Diagnose(run).Verdict, "nothing was read")

	w := model.Watch{Place: model.Place{Environment: model.EnvDindInner, Setup: modeltest.DindRun.Setup}, Round: base, Hops: []model.Hop{
		{Interface: "eth0", Role: model.RoleUplink, Place: model.Flow{Out: 9, SYN: 9}}, {Interface: "docker0", Role: model.RoleBridge, Place: model.Flow{Out: 9, SYN: 9}},
	}}
	run.Watches = append(run.Watches, w)
	d := diagnose.Diagnose(run)
	require.Equal(t, diagnose.CauseDockerdIPTables, d.Cause, d.Summary)
	require.Contains(t, evidenceText(d), "9 packets left on the runner's uplink eth0 with its own address")
	requireResolved(t, run, d)
}
