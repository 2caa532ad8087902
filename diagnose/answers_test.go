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

// onAddresses changes the results of questions for IPv4 addresses.
func onAddresses(run *model.Run, change func(*model.Result)) {
	each(run, func(r model.Result) bool { return r.Probe == model.ProbeDNSA }, change)
}

// truncatedBy is a run whose resolver answers everybody with truncated messages, and not over TCP.
func truncatedBy(resolver string, why model.Reason, places ...model.Place) model.Run {
	run := in(places, namesFail(why))
	onAddresses(&run, func(r *model.Result) {
		r.Detail.Values = map[string]string{"resolver": "198.51.100.7:53", "addresses": "198.51.100.10"}
		if r.Outcome == model.Fail {
			r.Detail.Values = map[string]string{"resolver": resolver, "truncated": "true"}
		}
	})
	for _, p := range places {
		w := watchOf(&run, p, base)
		w.Hops = []model.Hop{{Interface: "eth0", Role: model.RoleUplink, Runner: model.Flow{DNSQueries: 22, DNSAnswers: 22}}}
		w.Sightings = &model.Sightings{Traced: true}
	}
	return run
}

// Truncated answers are told of as such: they are answers, and no figure says otherwise.
func TestTruncatedAnswers(t *testing.T) {
	t.Parallel()
	all := append([]model.Place{modeltest.Runner}, modeltest.Bridged()...)
	for name, test := range map[string]struct {
		run  model.Run
		says string
	}{
		"TCP is refused":       {truncatedBy("198.51.100.53:53", model.DNSRefused, all...), "198.51.100.53 answers over UDP, with messages that are truncated (TC), and TCP port 53, where the whole answer is to be asked for, is refused"},
		"TCP is dropped":       {truncatedBy("198.51.100.53:53", model.DNSTimeout, all...), "does not answer (a firewall may drop it)"},
		"of guests alone":      {truncatedBy("10.77.0.1:53", model.DNSTimeout, modeltest.Bridged()...), "10.77.0.1 answers over UDP"},
		"on the loopback":      {truncatedBy("127.0.0.53:53", model.DNSRefused, modeltest.Runner), "127.0.0.53 answers over UDP"},
		"TCP is not reachable": {truncatedBy("198.51.100.53:53", model.Unreachable, modeltest.Runner), "is not reached"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := diagnose.Diagnose(test.run)
			require.Equal(t, diagnose.CauseResolverSilent, d.Cause, d.Summary)
			require.Equal(t, "The resolver's answers are truncated, and it gives none over TCP", d.Title)
			require.Contains(t, d.Evidence[0].Text, test.says)
			require.Empty(t, d.Further)
			// Without that message it is not answered.
			onAddresses(&test.run, func(r *model.Result) { delete(r.Detail.Values, "truncated") })
			require.NotEqual(t, d.Title, diagnose.Diagnose(test.run).Title)
		})
	}
	// Who answers guests passes such answers on: it is answered itself.
	run := truncatedBy("10.77.0.1:53", model.DNSTimeout, modeltest.Bridged()...)
	for _, p := range modeltest.Bridged() {
		factsOf(&run, p).Resolvers = []string{"10.77.0.1"}
		l := model.Listener{Protocol: "udp", Address: netip.MustParseAddrPort("10.77.0.1:53"), Process: "dnsmasq", PID: 9, Servers: []model.NameServer{serverAt("198.51.100.53:53", "")}, ServersRead: true}
		watchOf(&run, p, base).Sightings = &model.Sightings{Traced: true, ListenersRead: true, Listeners: []model.Listener{l}}
	}
	require.Equal(t, "The resolver's answers are truncated, and it gives none over TCP", diagnose.Diagnose(run).Title)
	// A rule that drops those questions is the cause.
	run = truncatedBy("198.51.100.53:53", model.DNSTimeout, modeltest.Bridged()...)
	rule := model.FirewallRule{Family: "ip", Table: "filter", Chain: "FORWARD", Hook: "forward", Handle: 4, XTables: true, Text: "-A FORWARD -p tcp --dport 53 -j DROP"}
	for _, p := range modeltest.Bridged() {
		factsOf(&run, p).Resolvers = []string{"198.51.100.53"}
		watchOf(&run, p, base).Sightings.Drops = []model.Sighting{{Fate: model.Dropped, Rule: &rule, In: "lxdbr0", Packets: 9, Flows: []model.PacketFlow{
			{Protocol: "tcp", Source: netip.AddrPortFrom(addressOf(&run, p), 0), Destination: netip.MustParseAddrPort("198.51.100.53:53"), Stage: model.Opening},
		}}}
	}
	d := diagnose.Diagnose(run)
	require.NotEqual(t, diagnose.CauseResolverSilent, d.Cause)
	require.Contains(t, d.Summary, rule.Text)
}

// fourAlone is a run whose resolver answers questions for IPv4 addresses alone.
func fourAlone(places ...model.Place) model.Run {
	run := in(places, func(r *model.Result) {
		switch r.Probe {
		case model.ProbeDNSA:
			r.DurationMS, r.Detail.Values = 3, map[string]string{"resolver": "198.51.100.54:53", "addresses": "198.51.100.10"}
		case model.ProbeDNSAAAA:
			fails(model.DNSTimeout)(r)
			r.DurationMS, r.Detail.Values = 700, map[string]string{"resolver": "198.51.100.54:53"}
		case model.ProbeTCP, model.ProbeHTTP:
			fails(model.DNSTimeout)(r)
		}
	})
	for i := range run.Watches {
		run.Watches[i].Sightings = &model.Sightings{}
	}
	return run
}

// That questions for IPv6 addresses are never answered is told with how soon the others are;
// late, refused or by another resolver is something else.
func TestNoAnswersAboutIPv6(t *testing.T) {
	t.Parallel()
	const title = "The resolver answers questions for IPv4 addresses, and none for IPv6 ones"
	all := append([]model.Place{modeltest.Runner}, modeltest.Bridged()...)
	six := func(change func(*model.Result)) func(*model.Run) {
		return func(run *model.Run) {
			each(run, func(r model.Result) bool { return r.Probe == model.ProbeDNSAAAA && r.Outcome == model.Fail }, change)
		}
	}
	slow := fourAlone(all...)
	i := slices.IndexFunc(slow.Results, func(r model.Result) bool { return r.Place == modeltest.Runner && r.Probe == model.ProbeDNSA })
	slow.Results[i].DurationMS = 5
	d := diagnose.Diagnose(slow)
	require.Equal(t, diagnose.CauseResolverSilent, d.Cause, d.Summary)
	require.Equal(t, title, d.Title)
	require.Contains(t, d.Evidence[0].Text, "198.51.100.54 answers questions for IPv4 addresses (A), in 5 ms at most, and none of those for IPv6 ones (AAAA)")
	require.Len(t, d.Environments, len(all), "it is one finding")
	require.Empty(t, d.Further)
	for name, other := range map[string]func(*model.Run){
		"refused":          six(func(r *model.Result) { r.Reason = model.DNSRefused }),
		"another resolver": six(func(r *model.Result) { r.Detail.Values["resolver"] = "198.51.100.55:53" }),
		"late":             func(run *model.Run) { onAddresses(run, func(r *model.Result) { r.DurationMS = 400 }) },
		"nothing answers":  func(run *model.Run) { onAddresses(run, fails(model.DNSTimeout)) },
		"not all names": func(run *model.Run) {
			for _, p := range modeltest.Bridged() {
				run.Results = append(run.Results, model.Result{Place: p, Round: base, Probe: model.ProbeDNSA, Target: "other.lab.test", Attempt: 1, Outcome: model.Fail, Reason: model.DNSTimeout,
					Detail: model.Detail{Values: map[string]string{"resolver": "198.51.100.54:53"}}})
			}
		},
	} {
		run := fourAlone(modeltest.Bridged()...)
		require.Equal(t, title, diagnose.Diagnose(run).Title)
		other(&run)
		require.NotEqual(t, title, diagnose.Diagnose(run).Title, name)
	}
}

// lied is a run whose guests are given another address for a site, which does not answer.
func lied() model.Run {
	run := in(modeltest.Bridged(), func(r *model.Result) {
		if r.Probe == model.ProbeHTTP {
			fails(model.ConnectTimeout)(r)
			r.Detail.Dials = []model.Dial{{Address: "[2001:db8::10]:80", Reason: model.Unreachable}, {Address: "198.51.100.250:80", Reason: model.ConnectTimeout}}
		}
	})
	onAddresses(&run, func(r *model.Result) {
		r.Detail.Values = map[string]string{"resolver": "198.51.100.53:53", "addresses": "198.51.100.10"}
		if slices.Contains(modeltest.Bridged(), r.Place) {
			r.Detail.Values = map[string]string{"resolver": "10.77.0.1:53", "addresses": "198.51.100.250"}
		}
	})
	l := model.Listener{Protocol: "udp", Address: netip.MustParseAddrPort("10.77.0.1:53"), Process: "dnsmasq", PID: 9, Options: []string{"address=/archive.lab.test/198.51.100.250"}}
	for _, p := range modeltest.Bridged() {
		watchOf(&run, p, base).Sightings = &model.Sightings{Listeners: []model.Listener{l}}
	}
	return run
}

// A resolver that gives guests an address that leads nowhere, where the runner's gives another
// that does not, is told of; where all of the guests' connections are lost it is not why.
func TestAResolverThatGivesOtherAddresses(t *testing.T) {
	t.Parallel()
	d := diagnose.Diagnose(lied())
	require.Equal(t, diagnose.CauseNamesDiffer, d.Cause, d.Summary)
	require.Contains(t, d.Evidence[0].Text, "10.77.0.1, which places behind lxdbr0 ask, gives archive.lab.test the address 198.51.100.250, where nothing answers; 198.51.100.53, which the runner asks, gives it 198.51.100.10")
	require.Contains(t, d.Evidence[0].Text, "dnsmasq (process 9), which serves guests of lxdbr0, has the option address=/archive.lab.test/198.51.100.250")
	for name, other := range map[string]func(*model.Run){
		"the same resolver": func(run *model.Run) {
			onAddresses(run, func(r *model.Result) { r.Detail.Values["resolver"] = "198.51.100.53:53" })
		},
		"one address of both": func(run *model.Run) {
			onAddresses(run, func(r *model.Result) { r.Detail.Values["addresses"] += " 198.51.100.99" })
		},
		"nothing passes": func(run *model.Run) {
			each(run, func(r model.Result) bool { return slices.Contains(modeltest.Bridged(), r.Place) }, onTCP(func(r *model.Result) {
				fails(model.ConnectTimeout)(r)
				r.Detail.Dials = []model.Dial{{Address: "198.51.100.250:80", Reason: model.ConnectTimeout}}
			}))
		},
		"another address fails": func(run *model.Run) {
			each(run, func(r model.Result) bool { return r.Outcome == model.Fail }, func(r *model.Result) { r.Detail.Dials[1].Address = "198.51.100.10:80" })
		},
		"the runner fails too": func(run *model.Run) {
			each(run, func(r model.Result) bool { return r.Place == modeltest.Runner && r.Probe == model.ProbeHTTP }, fails(model.ConnectTimeout))
		},
		"it answers elsewhere": func(run *model.Run) {
			each(run, func(r model.Result) bool {
				return slices.Contains(modeltest.Bridged(), r.Place) && r.Probe == model.ProbeTCP
			}, func(r *model.Result) {
				r.Detail.Dials = []model.Dial{{Address: "198.51.100.250:443"}}
			})
		},
	} {
		run := lied()
		other(&run)
		require.NotEqual(t, diagnose.CauseNamesDiffer, diagnose.Diagnose(run).Cause, name)
	}
}
