package probe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/nestlab/nestlab/model"
)

// answer is what the resolvers said about a name.
type answer struct {
	reason    model.Reason
	err       error
	resolver  string // the server that answered last, HOST:PORT
	rcode     string
	addresses []string
	truncated bool // UDP was not enough
	tried     []string
}

// query asks the servers of resolv.conf in turn until one answers with
// addresses or with a verdict on the name. timeout bounds each server's share.
func query(ctx context.Context, resolvConf, name string, qtype uint16, timeout time.Duration) answer {
	conf, err := dns.ClientConfigFromFile(resolvConf)
	if err != nil {
		return answer{reason: model.NoResolver, err: fmt.Errorf("read resolvers from %s: %w", resolvConf, err)}
	}
	if len(conf.Servers) == 0 {
		return answer{reason: model.NoResolver, err: fmt.Errorf("%s names no server; set one with \"nameserver ADDRESS\"", resolvConf)}
	}
	var a answer
	var tried []string
	share := timeout / time.Duration(len(conf.Servers))
	for _, server := range conf.Servers {
		serverCtx, cancel := context.WithTimeout(ctx, share)
		a = ask(serverCtx, net.JoinHostPort(server, conf.Port), name, qtype)
		cancel()
		tried = append(tried, fmt.Sprintf("%s=%s", a.resolver, said(a)))
		if a.reason == "" || a.reason == model.DNSNXDomain || ctx.Err() != nil {
			break
		}
	}
	a.tried = tried
	return a
}

func said(a answer) string {
	if a.rcode != "" {
		return a.rcode
	}
	return string(a.reason)
}

// Ask puts a question for the address of a name to a server until there is an answer. The
// code of that is empty for none, and the reason says why.
func Ask(ctx context.Context, server netip.AddrPort, name string) (rcode string, why model.Reason) {
	a := ask(ctx, server.String(), name, dns.TypeA)
	if a.rcode != "" {
		return a.rcode, ""
	}
	return "", a.reason
}

// ask puts one question to one server, over TCP if the answer was truncated.
func ask(ctx context.Context, server, name string, qtype uint16) answer {
	a := answer{resolver: server}
	q := new(dns.Msg)
	q.SetQuestion(dns.Fqdn(name), qtype)
	q.SetEdns0(1232, false)
	reply, err := exchange(ctx, "udp", server, q)
	if err == nil && reply.Truncated {
		a.truncated = true
		reply, err = exchange(ctx, "tcp", server, q)
	}
	if err != nil {
		a.err = fmt.Errorf("ask %s for %s: %w", server, name, err)
		a.reason = classifyExchange(err)
		return a
	}
	a.rcode = dns.RcodeToString[reply.Rcode]
	if a.rcode == "" {
		a.rcode = strconv.Itoa(reply.Rcode)
	}
	if a.reason = ClassifyRcode(reply.Rcode); a.reason != "" {
		a.err = fmt.Errorf("ask %s for %s: answer %s", server, name, a.rcode)
	}
	for _, rr := range reply.Answer {
		switch rr := rr.(type) {
		case *dns.A:
			a.addresses = append(a.addresses, rr.A.String())
		case *dns.AAAA:
			a.addresses = append(a.addresses, rr.AAAA.String())
		}
	}
	return a
}

func exchange(ctx context.Context, network, server string, q *dns.Msg) (*dns.Msg, error) {
	c := dns.Client{Net: network}
	if deadline, ok := ctx.Deadline(); ok {
		c.Timeout = time.Until(deadline)
	}
	if network == "udp" {
		// Half the share, so that a lost datagram is asked again.
		c.Timeout /= 2
	}
	for {
		reply, _, err := c.ExchangeContext(ctx, q, server)
		if err == nil || network == "tcp" || ctx.Err() != nil || classifyExchange(err) != model.DNSTimeout {
			return reply, err
		}
	}
}

// classifyExchange translates the reasons of a connection into those of a
// question: a resolver whose port is closed has refused.
func classifyExchange(err error) model.Reason {
	switch reason := Classify(err); reason {
	case model.ConnectTimeout, model.ReadTimeout, model.DeadlineExceeded:
		return model.DNSTimeout
	case model.Refused:
		return model.DNSRefused
	case model.ReasonOther:
		if errors.As(err, new(*dns.Error)) {
			return model.DNSServFail // an answer that is no DNS message
		}
		return reason
	default:
		return reason
	}
}

func probeDNS(qtype uint16) probeFunc {
	return func(ctx context.Context, e *env, target string) observation {
		a := query(ctx, e.resolvConf, target, qtype, budget(ctx))
		o := observation{err: a.err, reason: a.reason, values: map[string]string{
			"addresses": strings.Join(a.addresses, " "),
			"rcode":     a.rcode,
			"resolver":  a.resolver,
		}}
		if a.truncated {
			o.values["truncated"] = "true"
		}
		if len(a.tried) > 1 {
			o.values["tried"] = strings.Join(a.tried, " ")
		}
		// A name without IPv6 is no failure: the resolver has answered.
		if o.reason == "" && len(a.addresses) == 0 && qtype == dns.TypeA {
			o.reason = model.DNSNoData
			o.err = fmt.Errorf("ask %s for %s: the name has no IPv4 address", a.resolver, target)
		}
		if o.reason == "" {
			o.values["private"] = strconv.FormatBool(anyPrivate(a.addresses))
		}
		return o
	}
}

// anyPrivate tells an answer from a captive resolver or a split view.
func anyPrivate(addresses []string) bool {
	for _, s := range addresses {
		if a, err := netip.ParseAddr(s); err == nil && (a.IsPrivate() || a.IsLoopback() || a.IsUnspecified()) {
			return true
		}
	}
	return false
}

// budget is the time that ctx leaves, less a little for putting the answer down.
func budget(ctx context.Context) time.Duration {
	deadline, ok := ctx.Deadline()
	if !ok {
		return 10 * time.Second
	}
	return time.Until(deadline) * 9 / 10
}
