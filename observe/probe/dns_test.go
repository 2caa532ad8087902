package probe_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/observe/probe"
	"github.com/nestlab/nestlab/spec/targets"
	"github.com/nestlab/nestlab/testbed/nettest"
)

// zone answers by the first label of the name.
func zone(t *testing.T) dns.HandlerFunc {
	return func(w dns.ResponseWriter, q *dns.Msg) {
		name := q.Question[0].Name
		switch strings.SplitN(name, ".", 2)[0] {
		case "both":
			reply(t, w, q, dns.RcodeSuccess, name+" A 192.0.2.2", name+" AAAA 2001:db8::2")
		case "four", "alias":
			reply(t, w, q, dns.RcodeSuccess, name+" A 192.0.2.2")
		case "six":
			reply(t, w, q, dns.RcodeSuccess, name+" AAAA 2001:db8::2")
		case "fail":
			reply(t, w, q, dns.RcodeServerFailure)
		case "refused":
			reply(t, w, q, dns.RcodeRefused)
		case "silent":
		case "long":
			longReply(t, w, q)
		default:
			reply(t, w, q, dns.RcodeNameError)
		}
	}
}

// longReply does not fit a datagram: over UDP it is truncated.
func longReply(t *testing.T, w dns.ResponseWriter, q *dns.Msg) {
	if w.RemoteAddr().Network() == "udp" {
		m := new(dns.Msg)
		m.SetReply(q)
		m.Truncated = true
		require.NoError(t, w.WriteMsg(m))
		return
	}
	var records []string
	for i := range 200 {
		records = append(records, fmt.Sprintf("%s A 198.51.100.%d", q.Question[0].Name, i))
	}
	reply(t, w, q, dns.RcodeSuccess, records...)
}

func TestDNS(t *testing.T) {
	t.Parallel()
	if !nettest.Isolated(t) {
		return
	}
	nameServer(t, "127.0.0.53", zone(t))
	for _, c := range []struct {
		name, probe string
		servers     []string
		reason      model.Reason
		values      map[string]string
	}{
		{"both.test", model.ProbeDNSA, nil, "", map[string]string{"addresses": "192.0.2.2", "rcode": "NOERROR", "resolver": "127.0.0.53:53"}},
		{"both.test", model.ProbeDNSAAAA, nil, "", map[string]string{"addresses": "2001:db8::2"}},
		{"four.test", model.ProbeDNSAAAA, nil, "", map[string]string{"addresses": ""}},
		{"six.test", model.ProbeDNSA, nil, model.DNSNoData, map[string]string{"addresses": "", "rcode": "NOERROR"}},
		{"none.test", model.ProbeDNSA, nil, model.DNSNXDomain, map[string]string{"rcode": "NXDOMAIN"}},
		{"none.test", model.ProbeDNSAAAA, nil, model.DNSNXDomain, nil},
		{"fail.test", model.ProbeDNSA, nil, model.DNSServFail, map[string]string{"rcode": "SERVFAIL"}},
		{"refused.test", model.ProbeDNSA, nil, model.DNSRefused, map[string]string{"rcode": "REFUSED"}},
		{"silent.test", model.ProbeDNSA, nil, model.DNSTimeout, nil},
		{"long.test", model.ProbeDNSA, nil, "", map[string]string{"truncated": "true"}},
		{"four.test", model.ProbeDNSA, []string{"127.0.0.9"}, model.DNSRefused, nil},
		{"four.test", model.ProbeDNSA, []string{"192.0.2.9"}, model.Unreachable, nil},
		{"four.test", model.ProbeDNSA, []string{"127.0.0.9", "127.0.0.53"}, "", map[string]string{"tried": "127.0.0.9:53=dns-refused 127.0.0.53:53=NOERROR"}},
		{"none.test", model.ProbeDNSA, []string{"127.0.0.53", "127.0.0.9"}, model.DNSNXDomain, map[string]string{"resolver": "127.0.0.53:53"}},
	} {
		t.Run(fmt.Sprint(c.probe, " ", c.name, c.servers), func(t *testing.T) {
			t.Parallel()
			if c.servers == nil {
				c.servers = []string{"127.0.0.53"}
			}
			results := observe(t, &targets.Set{DNS: []string{c.name}, Deadlines: awaiting(c.reason)}, resolvConf(t, c.servers...), model.SuiteNetwork)
			r := one(t, results, c.probe)
			want(t, r, c.reason)
			for k, v := range c.values {
				require.Equal(t, v, r.Detail.Values[k], "value %s of %s", k, show(t, r))
				require.Contains(t, r.Detail.Values, k)
			}
		})
	}
}

func TestNoResolver(t *testing.T) {
	t.Parallel()
	targets := &targets.Set{DNS: []string{"four.test"}}
	want(t, one(t, observe(t, targets, resolvConf(t), model.SuiteNetwork), model.ProbeDNSA), model.NoResolver)
	missing := func(o *probe.Options) { o.ResolvConf = "/does/not/exist" }
	want(t, one(t, observe(t, targets, missing, model.SuiteNetwork), model.ProbeDNSA), model.NoResolver)
}

// The reasons of a name that does not resolve are the same for the other probes.
func TestResolutionOfOtherProbes(t *testing.T) {
	t.Parallel()
	if !nettest.Isolated(t) {
		return
	}
	nameServer(t, "127.0.0.53", zone(t))
	for name, reason := range map[string]model.Reason{
		"none.test": model.DNSNXDomain, "fail.test": model.DNSServFail, "refused.test": model.DNSRefused, "silent.test": model.DNSTimeout,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			targets := &targets.Set{
				TCP: []string{name + ":80"}, HTTP: []string{"http://" + name + "/"}, ICMP: []string{name}, PathMTU: []targets.PathMTU{{URL: "http://" + name + "/"}},
				Deadlines: awaiting(reason),
			}
			results := observe(t, targets, resolvConf(t, "127.0.0.53"), model.SuiteNetwork)
			require.Len(t, results, 5)
			for _, r := range results {
				want(t, r, reason)
			}
		})
	}
}
