package diagnose_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/diagnose"
	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/model/modeltest"
)

// someRule is a rule that nobody wrote code for.
var someRule = model.FirewallRule{
	Family: "inet", Table: "site", Chain: "late", Hook: "postrouting", Handle: 7, Text: `oifname "lxdbr0" drop`,
}

// seen is a run whose guests' connections were seen to end by something.
func seen(s model.Sighting) model.Run {
	run := silent(hop(9, 0, 0, 0))
	site := netip.MustParseAddrPort("198.51.100.10:80")
	each(&run, func(r model.Result) bool {
		return slices.Contains(modeltest.Bridged(), r.Place) && r.Reason == model.ConnectTimeout
	}, func(r *model.Result) {
		r.Detail.Dials = []model.Dial{{Address: site.String(), Reason: model.ConnectTimeout}}
	})
	for _, p := range modeltest.Bridged() {
		mine, guest := s, netip.AddrPortFrom(addressOf(&run, p), 0)
		mine.Packets, mine.Flows = 9, []model.PacketFlow{{Protocol: "tcp", Source: guest, Destination: site, Stage: model.Opening}}
		if s.Reply {
			mine.Flows[0].Source, mine.Flows[0].Destination = site, guest
		}
		if s.In == "" && !s.Reply {
			mine.In = "lxdbr0"
		} else if s.Reply {
			mine.Out = "lxdbr0"
		}
		watchOf(&run, p, base).Sightings = &model.Sightings{Drops: []model.Sighting{mine}}
	}
	return run
}

// addressOf is a guest's own address.
func addressOf(run *model.Run, p model.Place) netip.Addr {
	for _, i := range factsOf(run, p).Interfaces {
		for _, text := range i.Addresses {
			if n := netip.MustParsePrefix(text); n.Addr().Is4() && !n.Addr().IsLoopback() {
				return n.Addr()
			}
		}
	}
	return netip.Addr{}
}

// routed is a run whose guests' packets a policy rule takes elsewhere.
func routed(d model.Decision) model.Run {
	run := seen(model.Sighting{Fate: model.Dropped, Rule: &someRule})
	for _, p := range modeltest.Bridged() {
		watchOf(&run, p, base).Sightings = &model.Sightings{Decisions: []model.Decision{d}}
	}
	return run
}

// misled is such a decision.
var misled = model.Decision{
	Source: netip.MustParseAddr("10.77.0.10"), Destination: netip.MustParseAddr("198.51.100.10"), In: "lxdbr0", Kind: "unicast", Out: "wg0", Main: "eth0",
	Table: 52, Rule: "100: from all iif lxdbr0 lookup 52", Priority: 100,
}

// unserved is a run whose guests get no address, with these listeners on the runner.
func unserved(listeners ...model.Listener) model.Run {
	run := withoutLease()
	for i := range run.Watches {
		run.Watches[i].Sightings = &model.Sightings{ListenersRead: true, Listeners: listeners}
	}
	return run
}

func TestPacketsSeenToEndAreTheCause(t *testing.T) {
	t.Parallel()
	forward := model.FirewallRule{Family: "inet", Table: "filter", Chain: "forward", Hook: "forward"}
	docker := model.FirewallRule{Family: "ip", Table: "filter", Chain: "FORWARD", Hook: "forward", XTables: true, Owner: "Docker"}
	ufw := docker
	ufw.Owner = "ufw"
	names := model.FirewallRule{Family: "inet", Table: "site", Chain: "dns", Hook: "forward", Handle: 5, Text: `iifname "docker0" udp dport 53 drop`}
	raw := model.FirewallRule{Family: "ip", Table: "raw", Chain: "PREROUTING", Hook: "prerouting", Handle: 3, Index: 1, XTables: true, Text: "-A PREROUTING -j DROP"}
	old := raw
	old.Legacy = true
	carrier := model.FirewallRule{Family: "netdev", Table: "carrier", Chain: "out", Hook: "egress", Handle: 2, Text: "ip ttl 63 drop"}
	for name, test := range map[string]struct {
		sighting   model.Sighting
		cause      string
		remedy     string
		parameters map[string]string
	}{
		"a policy without a counter": {model.Sighting{Fate: model.Dropped, Rule: &forward}, diagnose.CauseFirewallForwardDrop, "accept-before",
			map[string]string{"table": "inet filter", "chain": "forward", "in": "lxdbr0", "answers": "yes"}},
		"answers to that policy": {model.Sighting{Reply: true, Fate: model.Dropped, Rule: &forward}, diagnose.CauseFirewallForwardDrop, "accept-before",
			map[string]string{"table": "inet filter", "chain": "forward", "out": "lxdbr0", "state": "answers"}},
		"Docker's policy": {model.Sighting{Fate: model.Dropped, Rule: &docker}, diagnose.CauseDockerForwardDrop, "docker-user-accept", map[string]string{"bridge": "lxdbr0"}},
		"ufw's policy": {model.Sighting{Fate: model.Dropped, Rule: &ufw}, diagnose.CauseFirewallForwardDrop, "accept-before",
			map[string]string{"table": "ip filter", "chain": "FORWARD", "program": "iptables", "in": "lxdbr0", "answers": "yes"}},
		"a rule about names": {model.Sighting{Fate: model.Dropped, Rule: &names}, diagnose.CauseDNSBlocked, "accept-before",
			map[string]string{"table": "inet site", "chain": "dns", "handle": "5", "in": "lxdbr0", "answers": "yes"}},
		"a raw rule": {model.Sighting{Fate: model.Dropped, Rule: &raw}, diagnose.CauseDroppedByRule, "accept-before",
			map[string]string{"table": "ip raw", "chain": "PREROUTING", "program": "iptables", "handle": "3", "index": "2", "in": "lxdbr0"}},
		"a raw rule of iptables-legacy": {model.Sighting{Fate: model.Dropped, Rule: &old}, diagnose.CauseDroppedByRule, "accept-before",
			map[string]string{"table": "ip raw", "chain": "PREROUTING", "program": "iptables-legacy", "handle": "3", "index": "2", "in": "lxdbr0"}},
		"behind NAT, as they leave": {model.Sighting{Fate: model.Dropped, Rule: &carrier, Out: "eth0"}, diagnose.CauseDroppedByRule, "accept-before",
			map[string]string{"table": "netdev carrier", "chain": "out", "handle": "2", "to": "198.51.100.10"}},
		"answers on the way out": {model.Sighting{Reply: true, Fate: model.Dropped, Rule: &someRule}, diagnose.CauseDroppedByRule, "accept-before",
			map[string]string{"table": "inet site", "chain": "late", "handle": "7", "out": "lxdbr0"}},
		"the reverse path filter": {model.Sighting{Fate: model.Dropped, Kernel: &model.KernelDrop{Reason: "IP_RPFILTER", Interface: "lxdbr0"}},
			diagnose.CauseRPFilter, "rp-filter-loose", map[string]string{"interface": "lxdbr0"}},
		"the kernel": {model.Sighting{Fate: model.Dropped, Kernel: &model.KernelDrop{Reason: "IP_CSUM", Function: "ip_rcv_core"}}, diagnose.CauseDroppedByKernel, "", nil},
	} {
		run := seen(test.sighting)
		d := diagnose.Diagnose(run)
		require.Equal(t, test.cause, d.Cause, name)
		require.Equal(t, model.Supported, d.Confidence, name)
		require.NotContains(t, d.Summary, "Not explained", name)
		require.Empty(t, d.Further, name)
		require.Equal(t, test.sighting.Rule == &old, strings.Contains(d.Summary, "(iptables-legacy, hook prerouting)"), d.Summary)
		if test.remedy != "" {
			require.Equal(t, test.remedy, d.Remedy.Name, name)
			require.Equal(t, test.parameters, d.Remedy.Parameters, name)
		}
		requireResolved(t, run, d)
	}
}

// A file of somebody else may say that packets ended by nothing.
func TestPacketsThatNothingEnded(t *testing.T) {
	t.Parallel()
	for _, s := range []model.Sighting{{Fate: model.Dropped}, {}, {Reply: true, Fate: "odd"}} {
		require.NotPanics(t, func() { diagnose.Diagnose(seen(s)) })
	}
}

func TestSideStreamsAreNoCause(t *testing.T) {
	t.Parallel()
	run := full()
	noise := model.Sighting{Fate: model.Dropped, Rule: &someRule, In: "lxdbr0", Packets: 999, Flows: []model.PacketFlow{{
		Protocol: "udp", Source: netip.MustParseAddrPort("10.77.0.10:0"), Destination: netip.MustParseAddrPort("224.0.0.251:5353"),
	}}}
	for i := range run.Watches {
		run.Watches[i].Sightings = &model.Sightings{Drops: []model.Sighting{noise}}
	}
	require.Equal(t, model.Healthy, diagnose.Diagnose(run).Verdict)
	lost := silent(hop(9, 9, 0, 0))
	for i := range lost.Watches {
		lost.Watches[i].Sightings = &model.Sightings{Drops: []model.Sighting{noise}}
	}
	require.Equal(t, diagnose.CauseUpstreamBlocks, diagnose.Diagnose(lost).Cause)
}

func TestPolicyRoutingIsFound(t *testing.T) {
	t.Parallel()
	d := diagnose.Diagnose(routed(misled))
	require.Equal(t, diagnose.CauseMisrouted, d.Cause)
	require.Equal(t, map[string]string{"network": "10.77.0.0/24", "way": "from", "priority": "99"}, d.Remedy.Parameters)
	back := misled
	back.Reply, back.Source, back.Destination, back.In, back.Main = true, misled.Destination, misled.Source, "eth0", "lxdbr0"
	d = diagnose.Diagnose(routed(back))
	require.Equal(t, diagnose.CauseMisrouted, d.Cause)
	require.Equal(t, "to", d.Remedy.Parameters["way"])
	none := misled
	none.Kind, none.Rule, none.Out, none.Main = "no route", "", "", ""
	require.NotEqual(t, diagnose.CauseMisrouted, diagnose.Diagnose(routed(none)).Cause)
	none.Rule = "100: from all iif lxdbr0 unreachable"
	require.Equal(t, diagnose.CauseMisrouted, diagnose.Diagnose(routed(none)).Cause)
	same := misled
	same.Out = "eth0"
	require.NotEqual(t, diagnose.CauseMisrouted, diagnose.Diagnose(routed(same)).Cause)
}

func TestNobodyServesDHCP(t *testing.T) {
	t.Parallel()
	named := model.Listener{Protocol: "udp", Address: netip.MustParseAddrPort("0.0.0.0:53"), Process: "named", PID: 42}
	d := diagnose.Diagnose(unserved(named))
	require.Equal(t, diagnose.CauseNobodyListens, d.Cause)
	require.Contains(t, d.Summary, "held by named (process 42)")
	dnsmasq := model.Listener{Protocol: "udp", Address: netip.MustParseAddrPort("0.0.0.0:67"), Interface: "lxdbr0", Process: "dnsmasq", PID: 43}
	require.Equal(t, diagnose.CauseDHCPBlocked, diagnose.Diagnose(unserved(dnsmasq)).Cause)
	dnsmasq.Interface = "lxdbr1"
	require.Equal(t, diagnose.CauseNobodyListens, diagnose.Diagnose(unserved(dnsmasq)).Cause)
}
