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

// Names that are answered from a cache after a rule was back say nothing against it; where the
// resolver was asked and did answer, they do.
func TestNamesFromACacheRefuteNothing(t *testing.T) {
	t.Parallel()
	resolver := netip.MustParseAddrPort("198.51.100.53:53")
	rule := model.FirewallRule{Family: "ip", Table: "filter", Chain: "OUTPUT", Hook: "output", Handle: 70, XTables: true, Ports: true, Text: "-A OUTPUT -p udp --dport 53 -j DROP"}
	for asked, want := range map[uint64]model.Confidence{0: model.Supported, 4: model.RuledOut} {
		run := in(modeltest.Bridged(), namesFail(model.DNSRefused))
		for _, p := range modeltest.Bridged() {
			w := watchOf(&run, p, base)
			factsOf(&run, p).Resolvers = []string{resolver.Addr().String()}
			w.Hops = []model.Hop{{Interface: "eth0", Role: model.RoleUplink}, {Interface: "lxdbr0", Role: model.RoleBridge, Place: model.Flow{Out: 9, DNSQueries: 9}}}
			w.Sightings = &model.Sightings{Traced: true, Drops: []model.Sighting{{Fate: model.Dropped, Rule: &rule, In: "lxdbr0", Packets: 9,
				Flows: []model.PacketFlow{{Protocol: "udp", Source: netip.AddrPortFrom(addressOf(&run, p), 0), Destination: resolver}}}}}
		}
		h, more := diagnose.Next(run, nil)
		require.True(t, more)
		require.Equal(t, diagnose.CauseDroppedByRule, h.Finding.Cause)
		run.Interventions = append(run.Interventions, h.Intervention.Intervention)
		for _, round := range []string{h.Intervention.Intervened, h.Intervention.Reverted} {
			for _, r := range slices.Clone(run.Results) {
				if r.Round == base && slices.Contains(modeltest.Bridged(), r.Place) {
					r.Round = round
					passes(&r)
					run.Results = append(run.Results, r)
				}
			}
			for _, p := range modeltest.Bridged() {
				w := *watchOf(&run, p, base)
				w.Round, w.Sightings = round, &model.Sightings{Traced: true}
				w.Hops = []model.Hop{{Interface: "eth0", Role: model.RoleUplink, Runner: model.Flow{DNSQueries: asked, DNSAnswers: asked}}}
				run.Watches = append(run.Watches, w)
			}
		}
		f := diagnose.Judge(h, run)
		require.Equal(t, want, f.Confidence, "%+v", f.Proof)
	}
}
