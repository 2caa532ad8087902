package standin

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv4/nclient4"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/nestlab/nestlab/model"
)

// offerWithin is how long a DHCP server has for its offer: dnsmasq looks for 3 s whether
// somebody has the address. Others are heard as long.
const offerWithin = 4500 * time.Millisecond

// maxOffers bounds the servers that are heard.
const maxOffers = 8

// hearing is what DHCP servers offer to one question, one offer of each server.
type hearing struct {
	first chan *dhcpv4.DHCPv4
	over  chan struct{} // closed once nobody is heard any more

	mu  sync.Mutex
	all []model.DHCPOffer
}

// soFar are the offers that were heard so far.
func (h *hearing) soFar() []model.DHCPOffer {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.all)
}

// lease is what a guest gets that starts: by the first offer, which binds nobody as it is
// never asked for. Further servers are heard meanwhile.
func (s *StandIn) lease(ctx context.Context) (Address, error) {
	h := &hearing{first: make(chan *dhcpv4.DHCPv4, 1), over: make(chan struct{})}
	client, question, err := s.discovery(h)
	if err != nil {
		return Address{}, err
	}
	s.heard = h
	ctx, cancel := context.WithTimeout(ctx, offerWithin)
	failed := make(chan error, 1)
	go func() {
		defer cancel()
		failed <- h.hear(ctx, client, question)
		if all := h.soFar(); len(all) > 1 {
			s.nameServers(all)
			h.mu.Lock()
			h.all = all
			h.mu.Unlock()
		}
		close(h.over)
	}()
	select {
	case offer := <-h.first:
		return taken(offer)
	case err := <-failed:
		return Address{}, fmt.Errorf("ask for an address on %s: %w", s.Network.Bridge, err)
	}
}

// asking asks until somebody was heard, however often it is told to.
type asking struct {
	net.PacketConn
	heard *hearing
}

// WriteTo implements net.PacketConn.
func (a asking) WriteTo(p []byte, to net.Addr) (int, error) {
	if len(a.heard.soFar()) > 0 {
		return len(p), nil
	}
	return a.PacketConn.WriteTo(p, to)
}

// discovery opens a socket for DHCP in the namespace, and makes the question that clients ask.
func (s *StandIn) discovery(h *hearing) (client *nclient4.Client, question *dhcpv4.DHCPv4, err error) {
	err = apart(func() (err error) {
		if err := enter(s.space); err != nil {
			return err
		}
		on, err := net.InterfaceByName(nic)
		if err != nil {
			return err
		}
		conn, err := nclient4.NewRawUDPConn(nic, nclient4.ClientPort)
		if err != nil {
			return err
		}
		client, err = nclient4.NewWithConn(asking{conn, h}, on.HardwareAddr, nclient4.WithTimeout(offerWithin/3), nclient4.WithRetry(3))
		return err
	})
	if err != nil {
		return nil, nil, fmt.Errorf("open a socket for DHCP: %w", err)
	}
	question, err = dhcpv4.NewDiscovery(client.InterfaceAddr(),
		dhcpv4.WithOption(dhcpv4.OptMaxMessageSize(nclient4.MaxMessageSize)), dhcpv4.WithRequestedOptions(dhcpv4.OptionClasslessStaticRoute))
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("make a question for DHCP: %w", err), client.Close())
	}
	return client, question, nil
}

// hear asks until there is an offer, and takes every one until the time is over.
func (h *hearing) hear(ctx context.Context, client *nclient4.Client, question *dhcpv4.DHCPv4) error {
	_, err := client.SendAndRead(ctx, client.RemoteAddr(), question, func(p *dhcpv4.DHCPv4) bool {
		if p.MessageType() != dhcpv4.MessageTypeOffer {
			return false
		}
		h.add(offerOf(p))
		select {
		case h.first <- p:
		default:
		}
		return false
	})
	return errors.Join(err, client.Close())
}

// add adds an offer, unless that server's is there.
func (h *hearing) add(o model.DHCPOffer) {
	h.mu.Lock()
	defer h.mu.Unlock()
	known := slices.ContainsFunc(h.all, func(k model.DHCPOffer) bool { return k.Server == o.Server })
	if !known && len(h.all) < maxOffers {
		h.all = append(h.all, o)
	}
}

// nameServers asks who has the addresses of servers.
func (s *StandIn) nameServers(all []model.DHCPOffer) {
	for i := range all {
		if mac, err := s.ownerOf(all[i].Server); err == nil {
			all[i].MAC = mac
		}
	}
}

// Offers implements session.Offered: what DHCP servers offered as it started, the one that it
// took first; none where it asked for nothing. Where that is the host's own, others are not
// waited for.
func (s *StandIn) Offers() []model.DHCPOffer {
	if s.heard == nil {
		return nil
	}
	all := s.heard.soFar()
	if len(all) > 0 && slices.ContainsFunc(s.Network.Addresses, func(n netip.Prefix) bool { return n.Addr() == all[0].Server }) {
		return all
	}
	<-s.heard.over
	return s.heard.soFar()
}

// offerOf is an offer as a client reads it.
func offerOf(p *dhcpv4.DHCPv4) model.DHCPOffer {
	o := model.DHCPOffer{Interface: nic, Resolvers: addresses(p.DNS())}
	o.Address, _ = netip.AddrFromSlice(p.YourIPAddr.To4())
	o.Server, _ = netip.AddrFromSlice(p.ServerIdentifier().To4())
	o.Bits, _ = p.SubnetMask().Size()
	if routers := addresses(p.Router()); len(routers) > 0 {
		o.Router = routers[0]
	}
	routes := routesOf(p)
	o.Routes = len(routes)
	for _, r := range routes {
		if r.To.Bits() == 0 {
			o.Classless = r.Via
		}
	}
	return o
}

// Route is one that a DHCP server gives; Via is unspecified for what is on the link.
type Route struct {
	To  netip.Prefix
	Via netip.Addr
}

// routesOf are the classless static routes of an offer (option 121).
func routesOf(p *dhcpv4.DHCPv4) (all []Route) {
	for _, r := range p.ClasslessStaticRoute() {
		to, ok := netip.AddrFromSlice(r.Dest.IP.To4())
		via, known := netip.AddrFromSlice(r.Router.To4())
		if bits, _ := r.Dest.Mask.Size(); ok && known {
			all = append(all, Route{netip.PrefixFrom(to, bits).Masked(), via})
		}
	}
	return all
}

// taken is what a client makes of an offer: with classless static routes it takes no router
// beside them (RFC 3442).
func taken(offer *dhcpv4.DHCPv4) (a Address, err error) {
	o := offerOf(offer)
	if !o.Address.IsValid() || o.Address.IsUnspecified() || o.Bits == 0 {
		return a, fmt.Errorf("the DHCP server %s offers no address with a netmask", o.Server)
	}
	a.Prefixes, a.Resolvers = []netip.Prefix{netip.PrefixFrom(o.Address, o.Bits)}, o.Resolvers
	if a.Routes = routesOf(offer); len(a.Routes) == 0 && o.Router.IsValid() {
		a.Routes = []Route{{netip.PrefixFrom(netip.IPv4Unspecified(), 0), o.Router}}
	}
	return a, nil
}

// add adds a route as DHCP clients do: by who is on no network of theirs they have none, but
// with an address that is all of its network everybody is on the link.
func (a Address) add(h *netlink.Handle, link int, r Route) error {
	route := &netlink.Route{LinkIndex: link, Dst: network(r.To), Gw: r.Via.AsSlice()}
	switch {
	case r.Via.IsUnspecified():
		route.Gw, route.Scope = nil, netlink.SCOPE_LINK
	case slices.ContainsFunc(a.Prefixes, netip.Prefix.IsSingleIP):
		route.SetFlag(netlink.FLAG_ONLINK)
	case !slices.ContainsFunc(a.Prefixes, func(p netip.Prefix) bool { return p.Contains(r.Via) }):
		return nil
	}
	err := h.RouteAdd(route)
	if errors.Is(err, unix.EEXIST) {
		return nil // given twice
	}
	return err
}

func addresses(all []net.IP) (out []netip.Addr) {
	for _, ip := range all {
		if a, ok := netip.AddrFromSlice(ip.To4()); ok {
			out = append(out, a)
		}
	}
	return out
}
