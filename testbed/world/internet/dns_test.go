package internet_test

import (
	"net"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/testbed/await"
	"github.com/nestlab/nestlab/testbed/world/internet"
)

// dual gives the sites IPv6 addresses that only DNS knows.
func dual(t *testing.T) internet.Config {
	c := newConfig(t)
	for i, s := range internet.Sites(true) {
		c.Sites[i].IPv6 = s.IPv6
	}
	return c
}

func ask(t *testing.T, s *served, network string, query *dns.Msg) *dns.Msg {
	t.Helper()
	client := &dns.Client{Net: network, Timeout: time.Minute}
	reply, _, err := client.ExchangeContext(t.Context(), query, net.JoinHostPort(s.address.String(), "53"))
	require.NoError(t, err)
	return reply
}

func TestDNSAnswers(t *testing.T) {
	t.Parallel()
	both, single := serve(t, dual(t)), serve(t, newConfig(t))
	for _, test := range []struct {
		name   string
		server *served
		qname  string
		qtype  uint16
		rcode  int
		want   string // the record's text; empty for none
		soa    bool
		author bool
	}{
		{"A", both, "archive.lab.test.", dns.TypeA, dns.RcodeSuccess, both.address.String(), false, true},
		{"A of another name", both, "registry.lab.test.", dns.TypeA, dns.RcodeSuccess, both.address.String(), false, true},
		{"AAAA", both, "download.lab.test.", dns.TypeAAAA, dns.RcodeSuccess, "2001:db8::11", false, true},
		{"AAAA where there is none", single, "download.lab.test.", dns.TypeAAAA, dns.RcodeSuccess, "", true, true},
		{"any case", both, "ArChIvE.lAb.TeSt.", dns.TypeA, dns.RcodeSuccess, both.address.String(), false, true},
		{"another type", both, "archive.lab.test.", dns.TypeTXT, dns.RcodeSuccess, "", true, true},
		{"no such name", both, "nothing.lab.test.", dns.TypeA, dns.RcodeNameError, "", true, true},
		{"below a name", both, "a.archive.lab.test.", dns.TypeA, dns.RcodeNameError, "", true, true},
		{"the domain itself", both, "lab.test.", dns.TypeA, dns.RcodeSuccess, "", true, true},
		{"the domain's SOA", both, "lab.test.", dns.TypeSOA, dns.RcodeSuccess, "ns.lab.test.", false, true},
		{"another domain", both, "images.linuxcontainers.org.", dns.TypeA, dns.RcodeNameError, "", false, false},
		{"a domain that ends alike", both, "notlab.test.", dns.TypeA, dns.RcodeNameError, "", false, false},
		{"a reverse name", both, "10.100.51.198.in-addr.arpa.", dns.TypePTR, dns.RcodeNameError, "", false, false},
		{"the root", both, ".", dns.TypeNS, dns.RcodeNameError, "", false, false},
	} {
		for _, network := range []string{"udp", "tcp"} {
			t.Run(test.name+"/"+network, func(t *testing.T) {
				t.Parallel()
				reply := ask(t, test.server, network, new(dns.Msg).SetQuestion(test.qname, test.qtype))
				require.Equal(t, dns.RcodeToString[test.rcode], dns.RcodeToString[reply.Rcode])
				require.Equal(t, test.author, reply.Authoritative)
				require.True(t, reply.RecursionAvailable)
				require.Equal(t, test.soa, len(reply.Ns) == 1 && reply.Ns[0].Header().Rrtype == dns.TypeSOA)
				if test.want == "" {
					require.Empty(t, reply.Answer)
					return
				}
				require.Len(t, reply.Answer, 1)
				require.Equal(t, test.qname, reply.Answer[0].Header().Name, "the question's own spelling")
				require.Equal(t, test.want, dns.Field(reply.Answer[0], 1))
			})
		}
	}
}

func TestDNSKeepsToEDNSAndClass(t *testing.T) {
	t.Parallel()
	s := serve(t, newConfig(t))
	plain := ask(t, s, "udp", new(dns.Msg).SetQuestion("archive.lab.test.", dns.TypeA))
	require.Nil(t, plain.IsEdns0())
	extended := ask(t, s, "udp", new(dns.Msg).SetQuestion("archive.lab.test.", dns.TypeA).SetEdns0(1232, false))
	require.NotNil(t, extended.IsEdns0())
	chaos := new(dns.Msg).SetQuestion("version.bind.", dns.TypeTXT)
	chaos.Question[0].Qclass = dns.ClassCHAOS
	require.Equal(t, dns.RcodeRefused, ask(t, s, "udp", chaos).Rcode)
}

func TestDNSIsLogged(t *testing.T) {
	t.Parallel()
	s := serve(t, newConfig(t))
	ask(t, s, "udp", new(dns.Msg).SetQuestion("nothing.lab.test.", dns.TypeAAAA))
	await.True(t, func() bool {
		for _, e := range s.log.entries(t) {
			if e["service"] == "dns" && e["name"] == "nothing.lab.test." {
				require.Equal(t, "AAAA", e["type"])
				require.Equal(t, "NXDOMAIN", e["rcode"])
				require.Equal(t, "udp", e["network"])
				return true
			}
		}
		return false
	})
}
