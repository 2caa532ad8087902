package diagnose_test

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/diagnose"
	"github.com/nestlab/nestlab/model"
)

// byTunnel is a run whose guests' packets leave by a tunnel with their own addresses, routed
// like that.
func byTunnel(d model.Decision) model.Run {
	run := silent(append(hop(60, 0, 0, 0), model.Hop{Interface: "tun0", Role: model.RoleOther, Place: model.Flow{Out: 60, SYN: 60}}))
	for _, p := range guests {
		watchOf(&run, p, base).Sightings = &model.Sightings{Decisions: []model.Decision{d}}
	}
	return run
}

// NAT is missing where the packets' own route leaves, and is added there. What a policy rule
// leads elsewhere, and what stays on a bridge, has another cause.
func TestUntranslatedElsewhere(t *testing.T) {
	t.Parallel()
	tunnel := toSite
	tunnel.Out, tunnel.Main, tunnel.Gateway = "tun0", "tun0", netip.MustParseAddr("10.8.0.1")
	d := diagnose.Diagnose(byTunnel(tunnel))
	require.Equal(t, diagnose.CauseNATOff, d.Cause, d.Summary)
	require.Contains(t, d.Evidence[0].Text, "60 packets left on the uplink tun0 with its own address")
	require.Equal(t, "tun0", d.Remedy.Parameters["out"])
	for name, change := range map[string]func(*model.Decision){
		"a policy rule":   func(d *model.Decision) { d.Rule, d.Main = "from all lookup 51820", "eth0" },
		"the usual way":   func(d *model.Decision) { d.Out, d.Main = "eth0", "eth0" },
		"not watched":     func(d *model.Decision) { d.Out, d.Main = "tun1", "tun1" },
		"an answer's way": func(d *model.Decision) { d.Reply = true },
		"on a bridge":     func(d *model.Decision) { d.Out, d.Main = "lxdbr0", "lxdbr0" },
		"IPv6 alone":      func(d *model.Decision) { d.Destination = netip.MustParseAddr("2001:db8::10") },
	} {
		other := tunnel
		change(&other)
		require.NotEqual(t, diagnose.CauseNATOff, diagnose.Diagnose(byTunnel(other)).Cause, name)
	}
	// Of two ways neither is that of all.
	run := byTunnel(tunnel)
	for i := range run.Watches {
		if s := run.Watches[i].Sightings; s != nil {
			s.Decisions = append(s.Decisions, toSite)
		}
	}
	require.NotEqual(t, diagnose.CauseNATOff, diagnose.Diagnose(run).Cause)
}
