package diagnose_test

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/diagnose"
	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/model/modeltest"
	"github.com/nestlab/nestlab/remedy/catalogue"
)

// What answers are to be routed to is the guests' network, or the halves of what another route
// takes of it: the next guest has another address.
func TestAnswersAreRoutedByNetworks(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		routes []string
		want   string
	}{
		"no route to them":     {nil, "10.77.0.0/24"},
		"the same network":     {[]string{"10.77.0.0/24"}, "10.77.0.0/25,10.77.0.128/25"},
		"a broader one":        {[]string{"10.0.0.0/8"}, "10.77.0.0/24"},
		"a narrower one":       {[]string{"10.77.0.0/24", "10.77.0.0/26", "10.77.0.64/26"}, "10.77.0.0/27,10.77.0.32/27"},
		"the one address":      {[]string{"10.77.0.5/32"}, "10.77.0.5"},
		"what is no network":   {[]string{"default", "unreachable"}, "10.77.0.0/24"},
		"one of another guest": {[]string{"10.77.0.9/32"}, "10.77.0.0/24"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := modeltest.Bridged()[:1]
			run := lostOn(p, model.Decision{Reply: true, Kind: "unicast", Out: "tun0", Table: 254,
				Source: netip.MustParseAddr("198.51.100.10"), Destination: netip.MustParseAddr("10.77.0.5")})
			f := factsOf(&run, modeltest.Runner)
			f.Routes = slices.DeleteFunc(slices.Clone(f.Routes), func(r model.Route) bool { return r.Device == "lxdbr0" })
			for _, to := range c.routes {
				f.Routes = append(f.Routes, model.Route{Destination: to, Device: "tun0"})
			}
			d := diagnose.Diagnose(run)
			require.Equal(t, diagnose.CauseMisrouted, d.Cause, d.Summary)
			require.Equal(t, catalogue.RouteToBridge, d.Remedy.Name)
			require.Equal(t, c.want, d.Remedy.Parameters["address"])
		})
	}
}
