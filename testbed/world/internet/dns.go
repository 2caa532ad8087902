package internet

import (
	"log/slog"
	"time"

	"github.com/miekg/dns"
)

// recordTTL is short, so that a fault injected later is seen at once (seconds).
const recordTTL = 5

// zone answers for Domain with authority and knows that no other name exists,
// so that a daemon which looks for its own servers is told at once instead of
// waiting for a timeout.
type zone struct {
	sites map[string]Site
	soa   dns.RR
	log   *slog.Logger
	how   *Conduct
}

func newZone(sites []Site, log *slog.Logger, how *Conduct) *zone {
	z := &zone{sites: map[string]Site{}, log: log.With("service", "dns"), how: how}
	for _, s := range sites {
		z.sites[dns.CanonicalName(s.Name)] = s
	}
	apex := dns.Fqdn(Domain)
	z.soa = &dns.SOA{
		Hdr: dns.RR_Header{Name: apex, Rrtype: dns.TypeSOA, Class: dns.ClassINET, Ttl: recordTTL},
		Ns:  "ns." + apex, Mbox: "hostmaster." + apex, Serial: 1,
		Refresh: 3600, Retry: 600, Expire: 86400, Minttl: recordTTL,
	}
	return z
}

// ServeDNS answers one query and logs it.
func (z *zone) ServeDNS(w dns.ResponseWriter, query *dns.Msg) {
	if z.how.now.Load().SilentDNS {
		return
	}
	start := time.Now()
	reply := z.answer(query)
	err := w.WriteMsg(reply)
	entry := []any{
		"client", w.RemoteAddr().String(), "network", w.RemoteAddr().Network(),
		"rcode", dns.RcodeToString[reply.Rcode], "answers", len(reply.Answer), "duration_ms", time.Since(start).Milliseconds(),
	}
	if len(query.Question) > 0 {
		q := query.Question[0]
		entry = append(entry, "name", q.Name, "type", dns.TypeToString[q.Qtype])
	}
	if err != nil {
		z.log.Error("reply failed", append(entry, "error", err.Error())...)
		return
	}
	z.log.Info("query", entry...)
}

func (z *zone) answer(query *dns.Msg) *dns.Msg {
	reply := new(dns.Msg).SetReply(query)
	reply.RecursionAvailable = true // resolvers that see none look elsewhere
	if query.IsEdns0() != nil {
		reply.SetEdns0(dns.DefaultMsgSize, false)
	}
	if len(query.Question) != 1 || query.Question[0].Qclass != dns.ClassINET {
		reply.Rcode = dns.RcodeRefused
		return reply
	}
	q := query.Question[0]
	name := dns.CanonicalName(q.Name)
	if !dns.IsSubDomain(z.soa.Header().Name, name) {
		reply.Rcode = dns.RcodeNameError
		return reply
	}
	reply.Authoritative = true
	site, found := z.sites[name]
	switch {
	case found && q.Qtype == dns.TypeA && z.how.now.Load().OnlyIPv6: // no data
	case found:
		reply.Answer = site.records(q)
	case name != z.soa.Header().Name:
		reply.Rcode = dns.RcodeNameError
	case q.Qtype == dns.TypeSOA:
		reply.Answer = []dns.RR{z.soa}
	}
	if len(reply.Answer) == 0 {
		reply.Ns = []dns.RR{z.soa}
	}
	return reply
}

// records are the site's answers to a question about it.
func (s Site) records(q dns.Question) []dns.RR {
	header := dns.RR_Header{Name: q.Name, Rrtype: q.Qtype, Class: dns.ClassINET, Ttl: recordTTL}
	switch {
	case q.Qtype == dns.TypeA:
		return []dns.RR{&dns.A{Hdr: header, A: s.IPv4.AsSlice()}}
	case q.Qtype == dns.TypeAAAA && s.IPv6.IsValid():
		return []dns.RR{&dns.AAAA{Hdr: header, AAAA: s.IPv6.AsSlice()}}
	}
	return nil
}
