package realize

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/nestlab/nestlab/remedy"
	"github.com/nestlab/nestlab/remedy/catalogue"
	"github.com/nestlab/nestlab/spec/targets"
	"github.com/nestlab/nestlab/vm"
)

// here is why a scenario cannot be tried that changes or uses the network of LXD's
// machine; nil where it can.
func (m *Maker) here() error {
	if m.Here {
		return nil
	}
	return inapplicable("it changes or uses the network of LXD's machine: %s", m.NotHere)
}

// forwardProxy runs a forward proxy on the address of a bridge of the guest's own.
func (m *Maker) forwardProxy(ctx context.Context, server vm.Server, i *instance) (func(context.Context) error, error) {
	if err := m.here(); err != nil {
		return nil, err
	}
	if m.Journal == "" {
		return nil, inapplicable("there is no journal to write the proxy down in")
	}
	const port = "3128"
	bridge, err := m.bridge(ctx, server, i, nil, nil)
	if err != nil {
		return bridge, err
	}
	own, _, err := lookAt(ctx, server, i.Network)
	if err != nil {
		return bridge, err
	}
	host := remedy.Host{Journal: m.Journal, Sole: true, Owner: i.Owner}
	proxy := catalogue.Named(catalogue.ProxyOnBridge, map[string]string{"bridge": i.Network, "port": port})
	after := func(ctx context.Context) error { return errors.Join(host.Revert(ctx, proxy), bridge(ctx)) }
	if err := host.Apply(ctx, proxy); err != nil {
		return after, fmt.Errorf("run a forward proxy on %s: %w", own.Addr(), err)
	}
	i.proxy = "http://" + net.JoinHostPort(own.Addr().String(), port)
	return after, nil
}

// proxyDevices are LXD's: one for each site and port that is probed, at a loopback
// address of the guest by which it then knows the site.
func (m *Maker) proxyDevices(ctx context.Context, i *instance) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	sites := sitesOf(m.Targets)
	names := map[string]int{}
	for _, site := range sites {
		host, port, err := net.SplitHostPort(site)
		if err != nil {
			return fmt.Errorf("read the target %s: %w", site, err)
		}
		found, err := net.DefaultResolver.LookupNetIP(ctx, "ip4", host)
		if err != nil {
			return fmt.Errorf("look up %s for an LXD proxy device: %w", host, err)
		}
		if names[host] == 0 {
			names[host] = len(names) + 1
			i.tuning.Hosts = append(i.tuning.Hosts, fmt.Sprintf("%s=127.0.1.%d", host, names[host]))
		}
		i.Devices[fmt.Sprintf("site-%d-%s", names[host], port)] = map[string]string{
			"type": "proxy", "bind": "instance",
			"listen":  fmt.Sprintf("tcp:127.0.1.%d:%s", names[host], port),
			"connect": "tcp:" + net.JoinHostPort(found[0].Unmap().String(), port),
		}
	}
	return nil
}

// sitesOf are the hosts with ports that a target set connects to, each once.
func sitesOf(t *targets.Set) []string {
	sites := slices.Clone(t.TCP)
	urls := slices.Concat(t.HTTP, t.HTTPS)
	for _, p := range t.PathMTU {
		urls = append(urls, p.URL, p.Sink)
	}
	if t.Apt != nil {
		for _, source := range t.Apt.Sources {
			urls = append(urls, strings.Fields(source)...)
		}
	}
	for _, text := range urls {
		_, address, found := strings.Cut(text, "://")
		if !found {
			continue
		}
		scheme := "http"
		if strings.Contains(text, "https://") {
			scheme = "https"
		}
		u, err := url.Parse(scheme + "://" + address)
		if err != nil || u.Hostname() == "" {
			continue
		}
		port := u.Port()
		if port == "" {
			port = map[string]string{"http": "80", "https": "443"}[scheme]
		}
		sites = append(sites, net.JoinHostPort(u.Hostname(), port))
	}
	slices.Sort(sites)
	return slices.Compact(sites)
}

// macvlan puts the guest's card on the uplink: with an address that is known to
// be free, or else one that the network gives it.
func (m *Maker) macvlan(i *instance) error {
	uplink, err := m.uplink()
	if err != nil {
		return err
	}
	i.Devices["eth0"] = map[string]string{"type": "nic", "name": "eth0", "nictype": "macvlan", "parent": uplink}
	if len(m.Uplink.Free) == 0 {
		return nil
	}
	own, left := m.freeAddress()
	if !left {
		return inapplicable(tooFew)
	}
	i.tuning.Address, i.tuning.Gateway, i.tuning.Resolver = own, m.Uplink.Gateway, m.Uplink.Resolver
	return nil
}

const tooFew = "the card needs a free address of the uplink's network, and no other guest's: give --free-address once for each guest"

// routedGateway is where LXD's routed cards send their packets (LXD's own choice).
var routedGateway = netip.MustParseAddr("169.254.0.1")

func (m *Maker) routed(i *instance) error {
	uplink, err := m.uplink()
	if err != nil {
		return err
	}
	free, left := m.freeAddress()
	if !left {
		return inapplicable(tooFew)
	}
	own := free.Addr()
	i.Devices["eth0"] = map[string]string{
		"type": "nic", "name": "eth0", "nictype": "routed", "parent": uplink, "ipv4.address": own.String(),
	}
	i.tuning.Address, i.tuning.Gateway, i.tuning.Resolver = netip.PrefixFrom(own, 32), routedGateway, m.Uplink.Resolver
	return nil
}

// uplink is the interface of the runner's default route.
func (m *Maker) uplink() (string, error) {
	if err := m.here(); err != nil {
		return "", err
	}
	if m.Uplink.Interface == "" {
		return "", inapplicable("the machine has no default route, so no uplink")
	}
	return m.Uplink.Interface, nil
}
