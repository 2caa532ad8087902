package diagnose_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/diagnose"
	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/model/modeltest"
)

// one changes a single result of a place.
func one(p model.Place, probe string, change func(*model.Result)) func(*model.Run) {
	return func(r *model.Run) {
		done := false
		each(r, func(x model.Result) bool { return x.Place == p && x.Probe == probe && !done }, func(x *model.Result) {
			change(x)
			done = true
		})
	}
}

func noHops(r *model.Run) {
	for i := range r.Watches {
		r.Watches[i].Hops = nil
	}
}

// TestEachRuleLetsGo takes the fixture of a cause and breaks the one observation
// that the rule rests on: the cause must not be named any more.
func TestEachRuleLetsGo(t *testing.T) {
	t.Parallel()
	runner, guest := modeltest.Runner, modeltest.LXDContainer
	for _, m := range []struct {
		cause, name string
		wreck       func(*model.Run)
	}{
		{diagnose.CauseNATOff, "the uplink was not watched", noHops},
		{diagnose.CauseNATOff, "another guest gets answers", func(r *model.Run) { each(r, at(base, modeltest.QEMUBridge), passes) }},
		{diagnose.CauseUpstreamBlocks, "the uplink was not watched", noHops},
		{diagnose.CauseUpstreamBlocks, "another guest gets answers", func(r *model.Run) { each(r, at(base, modeltest.QEMUBridge), passes) }},
		{diagnose.CauseUpstreamBlocks, "a connection was answered", func(r *model.Run) { watchOf(r, guest, base).Hops = hop(9, 9, 1, 0) }},
		{diagnose.CauseUpstreamBlocks, "nothing left", func(r *model.Run) { watchOf(r, guest, base).Hops = hop(9, 0, 0, 0) }},
		{diagnose.CauseUpstreamBlocks, "packets left that were not translated", func(r *model.Run) { watchOf(r, guest, base).Hops = hop(9, 9, 0, 5) }},
		{diagnose.CauseUpstreamBlocks, "a container gets answers", func(r *model.Run) {
			f := factsOf(r, modeltest.DindBuild)
			f.Interfaces[1].Addresses, f.Routes[0].Gateway = []string{"172.17.0.9/16"}, "172.17.0.1"
		}},
		{diagnose.CauseUpstreamBlocks, "the runner fails as well", func(r *model.Run) { each(r, at(base, runner), fails(model.Refused)) }},
		{diagnose.CauseDockerdIPTables, "packets were translated", func(r *model.Run) {
			for _, p := range []model.Place{modeltest.DindBuild, modeltest.DindRun} {
				watchOf(r, p, base).Hops[0].Place = model.Flow{}
			}
		}},
		{diagnose.CauseDNSUpstreamDead, "a look-up of the runner was answered", one(runner, model.ProbeDNSA, passes)},
		{diagnose.CauseDNSUpstreamDead, "the runner has no route", func(r *model.Run) { factsOf(r, runner).Routes = nil }},
		{diagnose.CauseDNSBlocked, "names do not resolve on the runner either", one(runner, model.ProbeDNSA, fails(model.DNSTimeout))},
		{diagnose.CauseDNSBlocked, "a guest has no address", func(r *model.Run) { factsOf(r, guest).Routes = nil }},
		{diagnose.CauseDHCPBlocked, "they have addresses", func(r *model.Run) {
			for _, p := range modeltest.Bridged() {
				factsOf(r, p).Interfaces[1].Addresses = []string{"10.77.0.9/24"}
			}
		}},
		{diagnose.CauseDHCPBlocked, "something is answered", one(guest, model.ProbeTCP, passes)},
		{diagnose.CauseRunnerOffline, "one connection is answered", one(runner, model.ProbeTCP, passes)},
		{diagnose.CauseSubnetOverlap, "the networks differ", func(r *model.Run) { factsOf(r, runner).Interfaces[3].Addresses = []string{"10.77.0.1/24"} }},
		{diagnose.CauseSubnetOverlap, "the runner fails the same", func(r *model.Run) { each(r, at(base, runner), fails(model.Refused)) }},
		{diagnose.CauseSubnetOverlap, "what was dialled is elsewhere", func(r *model.Run) {
			each(r, at(base, modeltest.Bridged()...), func(x *model.Result) {
				x.Target, x.Detail.Dials = "archive.lab.test:443", []model.Dial{{Address: "203.0.113.10:443", Reason: model.Unreachable}}
			})
		}},
		{diagnose.CauseSubnetOverlap, "packets fell to a policy", func(r *model.Run) { *watchOf(r, guest, base) = modeltest.Watch(guest, base, "DROP", 0, 9) }},
		{diagnose.CauseSubnetOverlap, "packets were seen leaving", func(r *model.Run) { watchOf(r, guest, base).Hops = hop(9, 9, 0, 0) }},
		{diagnose.CauseMTUBlackhole, "the answer trickles", func(r *model.Run) {
			each(r, func(x model.Result) bool { return x.Probe == model.ProbePathMTU }, func(x *model.Result) {
				x.Detail.Values = map[string]string{"down_bytes": "4096"}
			})
		}},
		{diagnose.CauseAAAAOnly, "there are no IPv6 addresses", func(r *model.Run) {
			each(r, func(x model.Result) bool { return x.Probe == model.ProbeDNSAAAA }, func(x *model.Result) { x.Detail.Values = nil })
		}},
		{diagnose.CauseV6NoRoute, "IPv4 was tried as well", func(r *model.Run) {
			each(r, func(x model.Result) bool { return len(x.Detail.Dials) > 0 }, func(x *model.Result) {
				x.Detail.Dials = append(x.Detail.Dials, model.Dial{Address: "198.51.100.10:80", Reason: model.Refused})
			})
		}},
		{diagnose.CauseProxyRequired, "nobody asked for it", func(r *model.Run) {
			each(r, func(x model.Result) bool { return x.Reason == model.ProxyRequired }, fails(model.Refused))
		}},
		{diagnose.CauseTLSIntercepted, "another site is accepted", func(r *model.Run) {
			each(r, func(x model.Result) bool {
				return x.Probe == model.ProbeHTTPS && x.Target == "https://download.lab.test/key"
			}, passes)
		}},
		{diagnose.CauseTLSIntercepted, "one site alone was asked", func(r *model.Run) {
			without(r, func(x model.Result) bool {
				return x.Probe == model.ProbeHTTPS && x.Target == "https://download.lab.test/key"
			})
		}},
		{diagnose.CauseClockSkew, "another site is accepted", func(r *model.Run) {
			each(r, func(x model.Result) bool {
				return x.Probe == model.ProbeHTTPS && x.Target == "https://download.lab.test/key"
			}, passes)
		}},
		{diagnose.CauseRegistryDown, "it serves elsewhere", one(guest, model.ProbeHTTPS, passes)},
		{diagnose.CauseRegistryDown, "other sites fail in the same way", one(guest, model.ProbeHTTP, fails(model.ServerError))},
		{diagnose.CauseAptMirror5xx, "it serves elsewhere", one(guest, model.ProbeAptUpdate, passes)},
		{diagnose.CauseSlowMirror, "it does not answer at all", func(r *model.Run) {
			each(r, func(x model.Result) bool { return x.Probe == model.ProbeHTTP }, fails(model.Refused))
		}},
		{diagnose.CauseKVMDenied, "it can be opened", func(r *model.Run) { factsOf(r, runner).KVM = model.Device{Present: true, Usable: true} }},
		{diagnose.CauseSlowMirror, "the lists came in time, a busy machine installs slowly", func(r *model.Run) {
			each(r, func(x model.Result) bool { return x.Probe == model.ProbeAptUpdate }, passes)
			each(r, func(x model.Result) bool { return x.Probe == model.ProbeAptInstall }, fails(model.DeadlineExceeded))
		}},
		{diagnose.CauseSlowMirror, "the runner gets the same lists in time", one(runner, model.ProbeAptUpdate, passes)},
		{diagnose.CauseSlowMirror, "another place gets the same lists in time", one(modeltest.DindRun, model.ProbeAptUpdate, passes)},
		{diagnose.CauseAgentNotReady, "the machine may not use KVM", func(r *model.Run) {
			factsOf(r, runner).KVM = model.Device{Present: true, Error: "open /dev/kvm: permission denied"}
		}},
		{diagnose.CauseNoPrivilege, "it says something else", func(r *model.Run) {
			each(r, func(x model.Result) bool { return x.Probe == model.ProbeStart }, func(x *model.Result) { x.Detail.Message = "dockerd ended by itself: panic" })
		}},
	} {
		t.Run(m.cause+"/"+m.name, func(t *testing.T) {
			t.Parallel()
			run := fixtures()[m.cause]()
			require.Equal(t, m.cause, diagnose.Diagnose(run).Cause, "before")
			m.wreck(&run)
			d := diagnose.Diagnose(run)
			require.NotEqual(t, m.cause, d.Cause, d.Summary)
			for _, f := range d.Further {
				require.NotEqual(t, m.cause, f.Cause)
			}
			requireResolved(t, run, d)
		})
	}
}

// TestWhatIsLeftOfASiteIsNoOutage: its requests fail for a cause that was found;
// that a daemon words the same differently is no second one.
func TestWhatIsLeftOfASiteIsNoOutage(t *testing.T) {
	t.Parallel()
	run := fixtures()[diagnose.CauseTLSIntercepted]()
	each(&run, func(x model.Result) bool { return x.Probe == model.ProbeRegistryPull }, fails(model.Refused))
	d := diagnose.Diagnose(run)
	require.Equal(t, diagnose.CauseTLSIntercepted, d.Cause)
	require.Empty(t, d.Further)
}

// TestOneSlowGuestIsNoSlowMirror: a recorded healthy run, in which apt ran out of time
// in the guest alone.
func TestOneSlowGuestIsNoSlowMirror(t *testing.T) {
	t.Parallel()
	run := recorded(t, "healthy.jsonl")
	each(&run, func(r model.Result) bool {
		return r.Environment == model.EnvLXDContainer && (r.Probe == model.ProbeAptUpdate || r.Probe == model.ProbeAptInstall)
	}, fails(model.DeadlineExceeded))
	d := diagnose.Diagnose(run)
	require.Equal(t, model.Undetermined, d.Verdict, d.Summary)
	require.Contains(t, whyNot(t, d, diagnose.CauseSlowMirror), "came in time elsewhere")
	requireResolved(t, run, d)
}
