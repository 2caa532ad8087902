package diagnose_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/diagnose"
	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/model/modeltest"
)

// A resolver on loopback that refuses is one that is gone, wherever it was asked; one that
// answers that it will not is there.
func TestAResolverThatIsGone(t *testing.T) {
	t.Parallel()
	at := func(resolver, rcode string) func(*model.Result) {
		fail := namesFail(model.DNSRefused)
		return func(r *model.Result) {
			fail(r)
			if r.Probe == model.ProbeDNSA || r.Probe == model.ProbeDNSAAAA {
				r.Detail.Values = map[string]string{"resolver": resolver, "rcode": rcode}
			}
		}
	}
	for _, places := range [][]model.Place{{modeltest.LXDContainer}, {modeltest.Runner, modeltest.LXDContainer}} {
		d := diagnose.Diagnose(in(places, at("127.0.0.11:53", "")))
		require.Equal(t, diagnose.CauseNobodyListens, d.Cause)
		require.Contains(t, d.Summary, "DOCKER_OUTPUT")
		require.Contains(t, d.Title, "127.0.0.11")
	}
	d := diagnose.Diagnose(in([]model.Place{modeltest.Runner}, at("127.0.0.53:53", "")))
	require.Contains(t, d.Summary, "systemctl restart systemd-resolved")
	for _, there := range [][2]string{{"127.0.0.53:53", "REFUSED"}, {"10.77.0.1:53", ""}} {
		require.NotEqual(t, diagnose.CauseNobodyListens, diagnose.Diagnose(in([]model.Place{modeltest.LXDContainer}, at(there[0], there[1]))).Cause)
	}
}
