package follow

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/observe"
	"github.com/nestlab/nestlab/observe/listen"
	"github.com/nestlab/nestlab/observe/observetest"
)

// Who takes a place's questions has its servers asked: one that is there is told by its
// answer, one that is not by why there is none.
func TestAskServers(t *testing.T) {
	t.Parallel()
	there, gone := netip.MustParseAddrPort("127.0.0.81:5381"), netip.MustParseAddrPort("127.0.0.82:5381")
	observetest.ServeNames(t, there)
	bridge := netip.MustParseAddrPort("192.0.2.1:53")
	report := listen.Report{Sockets: []listen.Socket{
		{Protocol: observe.UDP, Address: bridge, Processes: []listen.Process{{PID: 7, Name: "dnsmasq", Servers: []netip.AddrPort{there, gone}, ServersRead: true}}},
	}}
	for names, want := range map[string][]model.NameServer{
		"site.test": {{Address: there, Answer: "NOERROR"}, {Address: gone, Reason: model.DNSRefused}},
		"":          nil,
	} {
		all := []model.Listener{{PID: 7}, {PID: 8}}
		askServers(t.Context(), all, report, []Tried{{Destination: bridge.Addr(), Names: names, In: "br0"}})
		require.Equal(t, want, all[0].Servers)
		require.Equal(t, names != "", all[0].ServersRead)
		require.Empty(t, all[1].Servers)
	}
}
