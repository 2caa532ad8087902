package real

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/diagnose"
	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/testbed/nettest"
)

// dead is where a VPN's table leads, and nobody answers.
const dead = "vpn0"

// A policy rule that takes the answers to guests too is named where only names were
// asked for, so that no address was dialled; and where the runner itself goes that way.
func TestPolicyRoutingOfResolversAnswers(t *testing.T) {
	t.Parallel()
	if !nettest.Isolated(t) {
		return
	}
	l := newLab(t)
	l.byName = true
	command(t, "", "ip", "link", "add", dead, "type", "veth", "peer", "name", "vpn1")
	command(t, "", "ip", "link", "set", dead, "up")
	for _, test := range []struct{ network, cause, rule string }{
		{"10.0.0.0/8", diagnose.CauseMisrouted, "from all lookup 52"},
		{"default", diagnose.CauseMisrouted, "from all lookup 52"},
		{"192.0.2.0/24", "", ""},
	} {
		command(t, "", "ip", "route", "add", test.network, "dev", dead, "table", "52")
		command(t, "", "ip", "rule", "add", "priority", "5270", "lookup", "52")
		run, progress := l.run(t)
		require.Equal(t, test.cause, run.Diagnosis.Cause, "%s\n%s\n%s", test.network, progress, told(run))
		if test.cause != "" {
			require.Contains(t, run.Diagnosis.Summary, test.rule)
		}
		if test.network == "10.0.0.0/8" {
			require.Equal(t, model.Proven, run.Diagnosis.Confidence, "%s\n%s", progress, told(run))
			require.Equal(t, map[string]string{"network": "10.91.3.0/24", "way": "to", "priority": "5269"}, run.Diagnosis.Remedy.Parameters)
		}
		command(t, "", "ip", "rule", "del", "priority", "5270")
		command(t, "", "ip", "route", "flush", "table", "52")
	}
}
