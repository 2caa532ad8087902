package probe_test

import (
	"testing"
	"time"

	"github.com/google/nftables"
	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/observe/probe"
	"github.com/nestlab/nestlab/spec/targets"
	"github.com/nestlab/nestlab/testbed/nettest"
)

// requests asks for a path of a host by each probe that makes requests, whose time is
// over first: before that of a question and before that of a connection.
func requests(t *testing.T, hostport string) []model.Result {
	t.Helper()
	set := &targets.Set{
		HTTP: []string{"http://" + hostport + "/"}, HTTPS: []string{"https://" + hostport + "/"},
		PathMTU: []targets.PathMTU{{URL: "http://" + hostport + "/"}}, Deadlines: map[string]targets.Duration{},
	}
	for _, name := range []string{model.ProbeDNSA, targets.DeadlineConnect} {
		set.Deadlines[name] = targets.Duration(time.Minute)
	}
	for _, name := range []string{model.ProbeHTTP, model.ProbeHTTPS, model.ProbePathMTU} {
		set.Deadlines[name] = targets.Duration(400 * time.Millisecond)
	}
	server := resolvConf(t, "127.0.0.53")
	results := observe(t, set, func(o *probe.Options) {
		server(o)
		o.Only = []string{model.ProbeHTTP, model.ProbeHTTPS, model.ProbePathMTU}
	}, model.SuiteNetwork)
	require.Len(t, results, 3)
	return results
}

// What a request waited for when its time was over is told by the step that it was at,
// not by the timer that was read first.
func TestTimeOfARequestIsOver(t *testing.T) {
	t.Parallel()
	if !nettest.Isolated(t) {
		return
	}
	peer := nettest.Wire(t)
	listener := peer.Listen(t, farPort) // the kernel connects, and nobody answers
	t.Cleanup(func() { require.NoError(t, listener.Close()) })
	all := zone(t)
	nameServer(t, "127.0.0.53", func(w dns.ResponseWriter, q *dns.Msg) {
		if q.Question[0].Name == "many.test." {
			reply(t, w, q, dns.RcodeSuccess, "many.test. A 192.0.2.2", "many.test. A 192.0.2.3", "many.test. A 192.0.2.4", "many.test. A 192.0.2.5")
			return
		}
		all(w, q)
	})
	for _, r := range requests(t, "silent.test:8080") {
		want(t, r, model.DNSTimeout)
		require.Empty(t, r.Detail.Dials)
	}
	for _, r := range requests(t, "four.test:8080") {
		want(t, r, model.ReadTimeout)
		require.Equal(t, []string{farPort + "="}, dials(r))
	}
	nettest.Filter(t, peer, nftables.ChainHookInput, append(nettest.Protocol(unix.IPPROTO_TCP), nettest.Drop())...)
	for _, r := range requests(t, "four.test:8080") {
		want(t, r, model.ConnectTimeout)
		require.Equal(t, []string{farPort + "=connect-timeout"}, dials(r))
	}
	// An address whose turn does not come is not said to be silent.
	for _, r := range requests(t, "many.test:8080") {
		want(t, r, model.ConnectTimeout)
		require.NotEmpty(t, r.Detail.Dials)
		require.Less(t, len(r.Detail.Dials), 4, show(t, r))
	}
}
