package vm

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/miekg/dns"
	"github.com/vishvananda/netlink"
)

// Sight is what a guest sees of its own network before anything is probed.
type Sight struct {
	// Addresses are the global IPv4 addresses, with their prefix lengths.
	Addresses []string `json:"addresses"`
	// Gateway is the IPv4 default route's, empty without one.
	Gateway string `json:"gateway"`
	// IPv6 are the global IPv6 addresses that are in use, Gateway6 is the IPv6 default
	// route's. NoIPv6 says that IPv6 is off, or not in the kernel.
	IPv6     []string `json:"ipv6,omitempty"`
	Gateway6 string   `json:"gateway6,omitempty"`
	NoIPv6   bool     `json:"no_ipv6,omitempty"`
	// Answered is the first resolver that answered, whatever it said; Resolver is
	// why none did.
	Answered string `json:"answered"`
	Resolver string `json:"resolver,omitempty"`
}

// Look looks around in the guest that this runs in. The resolvers are asked side by
// side, at most limit long, and not at all where that is 0.
func Look(ctx context.Context, resolvConf string, limit time.Duration) (Sight, error) {
	s := Sight{Addresses: []string{}}
	links, err := netlink.AddrList(nil, netlink.FAMILY_V4)
	if err != nil {
		return s, fmt.Errorf("list the IPv4 addresses: %w", err)
	}
	for _, a := range links {
		if a.IP.IsGlobalUnicast() {
			s.Addresses = append(s.Addresses, a.IPNet.String())
		}
	}
	routes, err := netlink.RouteList(nil, netlink.FAMILY_V4)
	if err != nil {
		return s, fmt.Errorf("list the IPv4 routes: %w", err)
	}
	for _, r := range routes {
		if (r.Dst == nil || r.Dst.IP.IsUnspecified()) && r.Gw != nil {
			s.Gateway = r.Gw.String()
		}
	}
	if err := s.sight6(); err != nil {
		return s, err
	}
	if limit == 0 {
		return s, nil
	}
	if s.Answered, err = answering(ctx, resolvConf, limit); err != nil {
		s.Resolver = err.Error()
	}
	return s, nil
}

// answering is the first of the configured resolvers that answers at all, of all that
// are asked at once: a refusal is an answer too.
func answering(ctx context.Context, resolvConf string, limit time.Duration) (string, error) {
	conf, err := dns.ClientConfigFromFile(resolvConf)
	if err != nil {
		return "", fmt.Errorf("read the resolvers: %w", err)
	}
	if len(conf.Servers) == 0 {
		return "", fmt.Errorf("%s names no resolver", resolvConf)
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	type answer struct {
		server string
		err    error
	}
	answers := make(chan answer, len(conf.Servers))
	for _, server := range conf.Servers {
		go func() {
			question := new(dns.Msg).SetQuestion(".", dns.TypeNS)
			_, _, err := (&dns.Client{Timeout: limit}).ExchangeContext(ctx, question, net.JoinHostPort(server, conf.Port))
			answers <- answer{server, err}
		}()
	}
	errs := []error{}
	for range conf.Servers {
		a := <-answers
		if a.err == nil {
			return a.server, nil
		}
		errs = append(errs, a.err)
	}
	return "", errors.Join(errs...)
}

// lookArgs are those of the look in a guest, whose resolvers are asked or not.
func lookArgs(resolver bool) []string {
	args := []string{"vm", "look"}
	if !resolver {
		args = append(args, "--resolver-timeout", "0")
	}
	return args
}

// networked are the requirements of a guest's network: look asks the guest, and it its
// resolvers only for the answer of one. A later one reuses the sight of the one before
// it. Of a bridge without IPv6 none is expected.
func networked(patience int, ipv6 bool, look func(ctx context.Context, resolver bool) (Sight, error)) []Requirement {
	times := time.Duration(max(1, patience))
	var last Sight
	check := func(met func(Sight) error, resolver bool) func(context.Context) error {
		return func(ctx context.Context) (err error) {
			if met(last) == nil {
				return nil
			}
			if last, err = look(ctx, resolver); err != nil {
				return err
			}
			return met(last)
		}
	}
	all := []Requirement{
		{
			Description: "IPv4 lease", Within: times * 20 * time.Second, Check: check(hasLease, false),
			Hint: "look at the DHCP server of its bridge, and at what the firewall lets in from there",
		},
		{
			Description: "default route", Within: times * 2 * time.Second, Check: check(hasRoute, false),
			Hint: "the DHCP server names no router",
		},
		{
			Description: "answer of a resolver", Within: times * 5 * time.Second, Check: check(hasResolver, true),
			Hint: "look at what the firewall does to port 53 on the way to the resolver",
		},
	}
	if ipv6 {
		all = append(all, Requirement{
			Description: "IPv6 address and route", Within: times * 6 * time.Second, Check: check(hasIPv6, false),
			Hint: "its bridge has IPv6, but nothing there tells guests so: look at its router advertisements",
		})
	}
	return all
}

func hasLease(s Sight) error {
	if len(s.Addresses) == 0 {
		return errors.New("it has no IPv4 address")
	}
	return nil
}

func hasRoute(s Sight) error {
	if s.Gateway == "" {
		return errors.New("it has no IPv4 default route")
	}
	return nil
}

func hasResolver(s Sight) error {
	if s.Answered == "" {
		return fmt.Errorf("no resolver answers: %s", s.Resolver)
	}
	return nil
}
