package diagnose_test

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/diagnose"
	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/model/modeltest"
)

// answeredBy is a run in which names fail behind LXD's bridge, whose own DNS server was told
// these servers and answers guests with a code, or not at all.
func answeredBy(rcode string, servers ...model.NameServer) model.Run {
	why := map[string]model.Reason{"": model.DNSTimeout, "REFUSED": model.DNSRefused, "SERVFAIL": model.DNSServFail}[rcode]
	run := in(modeltest.Bridged(), namesFail(why))
	each(&run, func(r model.Result) bool { return r.Probe == model.ProbeDNSA }, func(r *model.Result) {
		r.Detail.Values = map[string]string{"resolver": "198.51.100.53:53", "addresses": "198.51.100.10"}
		if r.Outcome == model.Fail {
			r.Detail.Values = map[string]string{"resolver": "10.77.0.1:53", "rcode": rcode}
		}
	})
	l := model.Listener{Protocol: "udp", Address: netip.MustParseAddrPort("10.77.0.1:53"), Process: "dnsmasq", PID: 9, Options: []string{"no-resolv"}, Servers: servers, ServersRead: true}
	for _, s := range servers {
		l.Options = append(l.Options, "server="+s.Address.Addr().String())
	}
	for _, p := range modeltest.Bridged() {
		factsOf(&run, p).Resolvers = []string{"10.77.0.1"}
		watchOf(&run, p, base).Sightings = &model.Sightings{ListenersRead: true, Listeners: []model.Listener{l}}
	}
	return run
}

// serverAt is a server that was asked, and said that, or nothing.
func serverAt(address, answer string) model.NameServer {
	return model.NameServer{Address: netip.MustParseAddrPort(address), Answer: answer}
}

// What guests' queries fail by behind the server that takes them is named by what that one
// was told, and is no block on the way to it.
func TestWhatTheBridgesServerFailsBy(t *testing.T) {
	t.Parallel()
	dead, alive := serverAt("198.51.100.99:53", ""), serverAt("198.51.100.98:5353", "NOERROR")
	for name, test := range map[string]struct {
		run         model.Run
		cause, says string
	}{
		"its server is silent":     {answeredBy("", dead), diagnose.CauseResolverSilent, "dnsmasq (process 9), which answers names for guests of lxdbr0, asks 198.51.100.99 (server=198.51.100.99), and that does not answer the runner either"},
		"it says so":               {answeredBy("SERVFAIL", dead), diagnose.CauseResolverSilent, "asks 198.51.100.99"},
		"one of its servers is":    {answeredBy("", dead, alive), diagnose.CauseDNSBlocked, "no name resolves behind lxdbr0"},
		"it has no server":         {answeredBy("REFUSED"), diagnose.CauseNoResolver, "knows no DNS server that it could ask (no-resolv), and answers REFUSED"},
		"it has none, and is mute": {answeredBy(""), diagnose.CauseDNSBlocked, "no name resolves behind lxdbr0"},
		"it refuses them":          {answeredBy("REFUSED", alive), diagnose.CauseNamesDiffer, "10.77.0.1:53, which places behind lxdbr0 ask, answers REFUSED when it is asked for archive.lab.test; 198.51.100.53:53, which the runner asks, gives it 198.51.100.10"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := diagnose.Diagnose(test.run)
			require.Equal(t, test.cause, d.Cause, d.Summary)
			require.Contains(t, d.Evidence[0].Text, test.says)
			refuted := slices.ContainsFunc(d.RuledOut, func(r model.Refuted) bool { return r.Cause == diagnose.CauseDNSBlocked })
			require.Equal(t, test.cause != diagnose.CauseDNSBlocked, refuted)
			require.Empty(t, d.Further)
		})
	}
}

// A server whose own servers were not all read may have others.
func TestServersThatWereNotRead(t *testing.T) {
	t.Parallel()
	run := answeredBy("", serverAt("198.51.100.99:53", ""))
	for _, p := range modeltest.Bridged() {
		watchOf(&run, p, base).Sightings.Listeners[0].ServersRead = false
	}
	require.Equal(t, diagnose.CauseDNSBlocked, diagnose.Diagnose(run).Cause)
}

// A resolver that guests are given and nobody has is named, with who gives it; one that
// somebody has is not.
func TestAResolverThatNobodyHas(t *testing.T) {
	t.Parallel()
	for state, cause := range map[string]string{"failed": diagnose.CauseResolverSilent, "reachable": diagnose.CauseDNSBlocked} {
		run := in(modeltest.Bridged(), namesFail(model.DNSTimeout))
		for _, p := range modeltest.Bridged() {
			factsOf(&run, p).Resolvers = []string{"10.77.0.250"}
			run.Inspections = append(run.Inspections, model.Inspection{Place: p, Round: base, Neighbours: []model.Neighbour{{Address: "10.77.0.250", Device: "eth0", State: state}}})
			watchOf(&run, p, base).Sightings = &model.Sightings{ListenersRead: true, Listeners: []model.Listener{
				{Protocol: "udp", Address: netip.MustParseAddrPort("0.0.0.0:67"), Interface: "lxdbr0", Process: "dnsmasq", PID: 9, Options: []string{"dhcp-option=6,10.77.0.250"}},
			}}
		}
		d := diagnose.Diagnose(run)
		require.Equal(t, cause, d.Cause, d.Summary)
		if state == "failed" {
			require.Contains(t, d.Summary, "asks 10.77.0.250 for names, which nobody on lxdbr0 has")
			require.Contains(t, d.Summary, "dnsmasq (process 9), which serves guests of lxdbr0, has the option dhcp-option=6,10.77.0.250")
		}
	}
}

// A way around that does not help refutes nothing, and its own trouble is no finding.
func TestAWayAroundThatDoesNotHelp(t *testing.T) {
	t.Parallel()
	dropped := model.Sighting{Fate: model.Dropped, Packets: 9, In: "lxdbr0", Rule: &model.FirewallRule{Family: "inet", Table: "site", Chain: "input", Hook: "input"}}
	for cause, run := range map[string]model.Run{
		diagnose.CauseResolverSilent: answeredBy("", serverAt("198.51.100.99:53", "")),
		diagnose.CauseDNSBlocked:     in(modeltest.Bridged(), namesFail(model.DNSTimeout)),
	} {
		for _, p := range modeltest.Bridged() {
			watchOf(&run, p, base).Hops = []model.Hop{{Interface: "eth0", Role: model.RoleUplink}, {Interface: "lxdbr0", Role: model.RoleBridge, Place: model.Flow{Out: 9, DNSQueries: 9}}}
		}
		h, more := diagnose.Next(run, nil)
		require.True(t, more)
		require.Equal(t, cause, h.Finding.Cause)
		require.Equal(t, "dns-forwarder", h.Finding.Remedy.Name)
		run.Interventions = append(run.Interventions, h.Intervention.Intervention)
		for _, round := range []string{with, after} {
			for _, r := range run.Results {
				if r.Round == base && slices.Contains(modeltest.Bridged(), r.Place) {
					r.Round = round
					run.Results = append(run.Results, r)
				}
			}
			for _, p := range modeltest.Bridged() {
				w := *watchOf(&run, p, base)
				w.Round, w.Sightings = round, &model.Sightings{}
				if round == with {
					mine := dropped
					mine.Flows = []model.PacketFlow{{Protocol: "udp", Source: netip.AddrPortFrom(addressOf(&run, p), 4000), Destination: netip.MustParseAddrPort("10.77.0.1:53"), Translated: netip.MustParseAddrPort("10.77.0.1:5300")}}
					w.Sightings.Drops = []model.Sighting{mine}
				}
				run.Watches = append(run.Watches, w)
			}
		}
		d := diagnose.Diagnose(run)
		require.Empty(t, d.Further, d.Summary)
		require.NotContains(t, d.Summary, "dropped")
		if cause == diagnose.CauseResolverSilent {
			require.Equal(t, cause, d.Cause)
			require.Equal(t, model.Supported, d.Confidence)
			require.Nil(t, d.Remedy)
			continue
		}
		require.Equal(t, model.Undetermined, d.Verdict)
	}
}

// What measures the path by a name fails for want of the same queries as all else.
func TestThePathIsMeasuredByAName(t *testing.T) {
	t.Parallel()
	run := answeredBy("")
	for _, p := range modeltest.Bridged() {
		watchOf(&run, p, base).Sightings.Drops = []model.Sighting{{Fate: model.Dropped, Packets: 9, In: "lxdbr0",
			Rule:  &model.FirewallRule{Family: "inet", Table: "site", Chain: "input", Hook: "input"},
			Flows: []model.PacketFlow{{Protocol: "udp", Source: netip.AddrPortFrom(addressOf(&run, p), 4000), Destination: netip.MustParseAddrPort("10.77.0.1:53")}}}}
	}
	h, more := diagnose.Next(run, nil)
	require.True(t, more)
	require.Equal(t, "accept-before", h.Finding.Remedy.Name)
	require.True(t, slices.ContainsFunc(run.Results, func(r model.Result) bool {
		return r.Probe == model.ProbePathMTU && slices.Contains(h.Explains, r.Ref())
	}))
}

// Guests that ask a resolver of their own in vain, while the runner asks another, are told so;
// not where some are answered, it is the runner's network's, their connections fail too, or
// rules were not followed.
func TestGuestsWithAnotherResolver(t *testing.T) {
	t.Parallel()
	made := func(asks string, answers uint64, traced bool, connects func(*model.Result)) model.Run {
		run := in(modeltest.Bridged(), func(r *model.Result) {
			if r.Probe == model.ProbeTCP {
				connects(r)
			} else {
				namesFail(model.DNSTimeout)(r)
			}
		})
		factsOf(&run, modeltest.Runner).Resolvers = []string{"127.0.0.53"}
		for _, p := range modeltest.Bridged() {
			factsOf(&run, p).Resolvers = []string{asks}
			w := watchOf(&run, p, base)
			w.Sightings, w.Hops = &model.Sightings{Traced: traced}, hop(4, 4, 4, 0)
			w.Hops[0].Runner.DNSQueries, w.Hops[0].Runner.DNSAnswers = 6, answers
		}
		return run
	}
	well := func(*model.Result) {}
	d := diagnose.Diagnose(made("8.8.8.8", 0, true, well))
	require.Equal(t, diagnose.CauseResolverSilent, d.Cause, d.Summary)
	require.Contains(t, d.Evidence[0].Text, "asks 8.8.8.8 for names: 6 DNS queries left on the uplink eth0, and none was answered; the runner asks 127.0.0.53")
	require.Contains(t, d.Evidence[0].Text, "/etc/docker/daemon.json")
	// The runner may ask nobody at all.
	run := made("8.8.8.8", 0, true, well)
	each(&run, func(r model.Result) bool { return r.Place == modeltest.Runner }, namesFail(model.NoResolver))
	factsOf(&run, modeltest.Runner).Resolvers = nil
	d = diagnose.Diagnose(run)
	require.Len(t, d.Further, 2)
	text := d.Evidence[0].Text + d.Further[0].Evidence[0].Text
	require.Contains(t, text, "the runner asks nobody, as /etc/resolv.conf names no server")
	require.NotContains(t, text, "is answered")
	for name, run := range map[string]model.Run{
		"answered":            made("8.8.8.8", 6, true, well),
		"answered in part":    made("8.8.8.8", 1, true, well),
		"the runner's own":    made("127.0.0.53", 0, true, well),
		"without connections": made("8.8.8.8", 0, true, fails(model.ConnectTimeout)),
		"rules not followed":  made("8.8.8.8", 0, false, well),
		"the runner's fail too": func() model.Run {
			run := made("8.8.8.8", 0, true, well)
			each(&run, func(r model.Result) bool { return r.Place == modeltest.Runner }, namesFail(model.DNSTimeout))
			return run
		}(),
	} {
		require.NotEqual(t, diagnose.CauseResolverSilent, diagnose.Diagnose(run).Cause, name)
	}
}
