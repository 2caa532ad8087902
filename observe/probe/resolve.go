package probe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/miekg/dns"

	"github.com/nestlab/nestlab/model"
)

// DefaultResolvConf is where the environment names its resolvers.
const DefaultResolvConf = "/etc/resolv.conf"

// resolver looks names up as programs do: through Go's own resolver, which
// heeds /etc/hosts and nsswitch.conf.
type resolver struct {
	conf    string // path of resolv.conf
	timeout time.Duration
}

func (r *resolver) lookup(ctx context.Context, host string) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{a.Unmap()}, nil
	}
	lookupCtx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	addrs, err := r.net().LookupNetIP(lookupCtx, "ip", host)
	if err != nil {
		return nil, r.explain(ctx, host, err)
	}
	for i := range addrs {
		addrs[i] = addrs[i].Unmap()
	}
	return addrs, nil
}

func (r *resolver) net() *net.Resolver {
	res := &net.Resolver{PreferGo: true}
	if r.conf != DefaultResolvConf {
		res.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			conf, err := dns.ClientConfigFromFile(r.conf)
			if err != nil {
				return nil, fmt.Errorf("read resolvers: %w", err)
			}
			if len(conf.Servers) > 0 {
				address = net.JoinHostPort(conf.Servers[0], conf.Port)
			}
			var d net.Dialer
			return d.DialContext(ctx, network, address)
		}
	}
	return res
}

// explain asks the resolvers once more where Go's error has lost the answer's
// code: it tells REFUSED, a closed port and SERVFAIL apart by text alone.
func (r *resolver) explain(ctx context.Context, host string, err error) error {
	var d *net.DNSError
	if !errors.As(err, &d) || d.IsTimeout || errors.Is(err, context.Canceled) {
		return fmt.Errorf("resolve %s: %w", host, err)
	}
	answer := query(ctx, r.conf, host, dns.TypeA, r.timeout)
	switch reason := answer.reason; {
	case reason != "":
		return failure(reason, fmt.Errorf("resolve %s: %w", host, err))
	case len(answer.addresses) == 0:
		return failure(model.DNSNoData, fmt.Errorf("resolve %s: %w", host, err))
	}
	return fmt.Errorf("resolve %s: %w", host, err)
}
