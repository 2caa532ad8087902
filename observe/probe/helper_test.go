package probe_test

import (
	"context"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/observe/probe"
	"github.com/nestlab/nestlab/spec/targets"
	"github.com/nestlab/nestlab/testbed/nettest"
)

// quick are deadlines for networks that are on this machine.
func quick() map[string]targets.Duration {
	const ms = targets.Duration(time.Millisecond)
	d := map[string]targets.Duration{targets.DeadlineConnect: 400 * ms, model.ProbeDNSA: 1000 * ms, model.ProbeDNSAAAA: 1000 * ms}
	for _, p := range []string{model.ProbeTCP, model.ProbeHTTP, model.ProbeHTTPS, model.ProbeICMP} {
		d[p] = 1500 * ms
	}
	return d
}

// awaiting are deadlines for what ends in that reason: short ones where they have to run
// out, and else long ones, for a busy machine.
func awaiting(reason model.Reason) map[string]targets.Duration {
	d := quick()
	if reason != model.DNSTimeout {
		for name := range d {
			d[name] = targets.Duration(time.Minute)
		}
	}
	return d
}

// observe runs the suites and returns the results by probe and target.
func observe(t *testing.T, targets *targets.Set, change func(*probe.Options), suites ...string) []model.Result {
	t.Helper()
	targets.Version, targets.Name = 1, "test"
	if targets.Deadlines == nil {
		targets.Deadlines = quick()
	}
	o := probe.Options{Place: model.Place{Environment: model.EnvRunner}, Platform: "unknown", Targets: targets, Suites: suites}
	if change != nil {
		change(&o)
	}
	var out []model.Result
	require.NoError(t, probe.Run(t.Context(), o, func(r model.Result) { out = append(out, r) }))
	for _, r := range out {
		require.True(t, r.Outcome.Valid(), r.Outcome)
		require.True(t, r.Reason.Valid(), r.Reason)
	}
	return out
}

// one is the single result of a probe.
func one(t *testing.T, results []model.Result, name string) model.Result {
	t.Helper()
	var found []model.Result
	for _, r := range results {
		if r.Probe == name {
			found = append(found, r)
		}
	}
	require.Len(t, found, 1, "results of %s", name)
	return found[0]
}

func show(t *testing.T, r model.Result) string {
	t.Helper()
	text, err := json.Marshal(r)
	require.NoError(t, err)
	return string(text)
}

// want checks outcome and reason, and shows the whole result if they differ.
func want(t *testing.T, r model.Result, reason model.Reason) {
	t.Helper()
	outcome := model.Pass
	if reason != "" {
		outcome = model.Fail
	}
	require.Equal(t, [2]string{string(outcome), string(reason)}, [2]string{string(r.Outcome), string(r.Reason)}, show(t, r))
}

// nameServer answers on address, port 53, over UDP and TCP.
func nameServer(t *testing.T, address string, handler dns.HandlerFunc) {
	t.Helper()
	var ready []chan struct{}
	for _, network := range []string{"udp", "tcp"} {
		up := make(chan struct{})
		s := &dns.Server{Addr: net.JoinHostPort(address, "53"), Net: network, Handler: handler, NotifyStartedFunc: func() { close(up) }}
		failed := make(chan error, 1)
		go func() { failed <- s.ListenAndServe() }()
		t.Cleanup(func() {
			require.NoError(t, s.Shutdown())
			require.NoError(t, <-failed)
		})
		ready = append(ready, up)
	}
	for _, up := range ready {
		<-up
	}
}

// resolvConf writes a resolv.conf that names the servers.
func resolvConf(t *testing.T, servers ...string) func(*probe.Options) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "resolv.conf")
	text := "options attempts:1 timeout:1\n"
	for _, s := range servers {
		text += "nameserver " + s + "\n"
	}
	require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
	return func(o *probe.Options) { o.ResolvConf = path }
}

// reply answers a question with records in zone file form.
func reply(t *testing.T, w dns.ResponseWriter, q *dns.Msg, rcode int, records ...string) {
	t.Helper()
	m := new(dns.Msg)
	m.SetRcode(q, rcode)
	for _, text := range records {
		rr, err := dns.NewRR(text)
		require.NoError(t, err)
		if rr.Header().Rrtype == q.Question[0].Qtype {
			m.Answer = append(m.Answer, rr)
		}
	}
	require.NoError(t, w.WriteMsg(m))
}

func canceled() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// withoutOverride runs the test where a file's mode holds for root as well.
func withoutOverride(t *testing.T) bool {
	t.Helper()
	return nettest.Isolated(t, unix.CAP_DAC_OVERRIDE)
}
