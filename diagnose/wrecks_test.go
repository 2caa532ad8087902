package diagnose_test

import (
	"github.com/nestlab/nestlab/diagnose"
	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/model/modeltest"
)

// wreck breaks the one observation that a rule rests on in its fixture.
type wreck struct {
	cause, name string
	wreck       func(*model.Run)
}

var wrecks = []wreck{
	{diagnose.CauseNATOff, "the uplink was not watched", noHops},
	{diagnose.CauseNATOff, "another guest gets answers", func(r *model.Run) { each(r, at(base, modeltest.QEMUBridge), passes) }},
	{diagnose.CauseUpstreamBlocks, "the uplink was not watched", noHops},
	{diagnose.CauseUpstreamBlocks, "another guest gets answers", func(r *model.Run) { each(r, at(base, modeltest.QEMUBridge), passes) }},
	{diagnose.CauseUpstreamBlocks, "a connection was answered", func(r *model.Run) { watchOf(r, modeltest.LXDContainer, base).Hops = hop(9, 9, 1, 0) }},
	{diagnose.CauseUpstreamBlocks, "nothing left", func(r *model.Run) { watchOf(r, modeltest.LXDContainer, base).Hops = hop(9, 0, 0, 0) }},
	{diagnose.CauseUpstreamBlocks, "packets left that were not translated", func(r *model.Run) { watchOf(r, modeltest.LXDContainer, base).Hops = hop(9, 9, 0, 5) }},
	{diagnose.CauseUpstreamBlocks, "a container gets answers", func(r *model.Run) {
		f := factsOf(r, modeltest.DindBuild)
		f.Interfaces[1].Addresses, f.Routes[0].Gateway = []string{"172.17.0.9/16"}, "172.17.0.1"
	}},
	{diagnose.CauseUpstreamBlocks, "the runner fails as well", func(r *model.Run) { each(r, at(base, modeltest.Runner), fails(model.Refused)) }},
	{diagnose.CauseDockerdIPTables, "packets were translated", func(r *model.Run) {
		for _, p := range []model.Place{modeltest.DindBuild, modeltest.DindRun} {
			watchOf(r, p, base).Hops[0].Place = model.Flow{}
		}
	}},
	{diagnose.CauseDNSUpstreamDead, "a look-up of the runner was answered", one(modeltest.Runner, model.ProbeDNSA, passes)},
	{diagnose.CauseDNSUpstreamDead, "the runner has no route", func(r *model.Run) { factsOf(r, modeltest.Runner).Routes = nil }},
	{diagnose.CauseDNSBlocked, "names do not resolve on the runner either", one(modeltest.Runner, model.ProbeDNSA, fails(model.DNSTimeout))},
	{diagnose.CauseDNSBlocked, "a guest has no address", func(r *model.Run) { factsOf(r, modeltest.LXDContainer).Routes = nil }},
	{diagnose.CauseDHCPBlocked, "they have addresses", func(r *model.Run) {
		for _, p := range modeltest.Bridged() {
			factsOf(r, p).Interfaces[1].Addresses = []string{"10.77.0.9/24"}
		}
	}},
	{diagnose.CauseDHCPBlocked, "something is answered", one(modeltest.LXDContainer, model.ProbeTCP, passes)},
	{diagnose.CauseRunnerOffline, "one connection is answered", one(modeltest.Runner, model.ProbeTCP, passes)},
	{diagnose.CauseSubnetOverlap, "the networks differ", func(r *model.Run) { factsOf(r, modeltest.Runner).Interfaces[3].Addresses = []string{"10.77.0.1/24"} }},
	{diagnose.CauseSubnetOverlap, "the runner fails the same", func(r *model.Run) { each(r, at(base, modeltest.Runner), fails(model.Refused)) }},
	{diagnose.CauseSubnetOverlap, "what was dialled is elsewhere", func(r *model.Run) {
		each(r, at(base, modeltest.Bridged()...), func(x *model.Result) {
			x.Target, x.Detail.Dials = "archive.lab.test:443", []model.Dial{{Address: "203.0.113.10:443", Reason: model.Unreachable}}
		})
	}},
	{diagnose.CauseSubnetOverlap, "packets were dropped by a policy", func(r *model.Run) {
		*watchOf(r, modeltest.LXDContainer, base) = modeltest.Watch(modeltest.LXDContainer, base, "DROP", 0, 9)
	}},
	{diagnose.CauseSubnetOverlap, "packets were seen leaving", func(r *model.Run) { watchOf(r, modeltest.LXDContainer, base).Hops = hop(9, 9, 0, 0) }},
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
	{diagnose.CauseRegistryDown, "it serves elsewhere", one(modeltest.LXDContainer, model.ProbeHTTPS, passes)},
	{diagnose.CauseRegistryDown, "other sites fail in the same way", one(modeltest.LXDContainer, model.ProbeHTTP, fails(model.ServerError))},
	{diagnose.CauseAptMirror5xx, "it serves elsewhere", one(modeltest.LXDContainer, model.ProbeAptUpdate, passes)},
	{diagnose.CauseSlowMirror, "it does not answer at all", func(r *model.Run) {
		each(r, func(x model.Result) bool { return x.Probe == model.ProbeHTTP }, fails(model.Refused))
	}},
	{diagnose.CauseKVMDenied, "it can be opened", func(r *model.Run) { factsOf(r, modeltest.Runner).KVM = model.Device{Present: true, Usable: true} }},
	{diagnose.CauseSlowMirror, "the lists came in time, a busy machine installs slowly", func(r *model.Run) {
		each(r, func(x model.Result) bool { return x.Probe == model.ProbeAptUpdate }, passes)
		each(r, func(x model.Result) bool { return x.Probe == model.ProbeAptInstall }, fails(model.DeadlineExceeded))
	}},
	{diagnose.CauseSlowMirror, "the runner gets the same lists in time", one(modeltest.Runner, model.ProbeAptUpdate, passes)},
	{diagnose.CauseSlowMirror, "another environment gets the same lists in time", one(modeltest.DindRun, model.ProbeAptUpdate, passes)},
	{diagnose.CauseAgentNotReady, "the machine may not use KVM", func(r *model.Run) {
		factsOf(r, modeltest.Runner).KVM = model.Device{Present: true, Error: "open /dev/kvm: permission denied"}
	}},
	{diagnose.CauseNoPrivilege, "it says something else", func(r *model.Run) {
		each(r, func(x model.Result) bool { return x.Probe == model.ProbeStart }, func(x *model.Result) { x.Detail.Message = "dockerd ended by itself: panic" })
	}},
}
