package standin

import (
	"errors"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv4/nclient4"
	"github.com/stretchr/testify/require"
	"github.com/vishvananda/netlink"

	"github.com/nestlab/nestlab/host/networks"
	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/testbed/nettest"
)

// offered is an offer with a netmask and these options.
func offered(t *testing.T, bits int, options ...dhcpv4.Option) *dhcpv4.DHCPv4 {
	t.Helper()
	p, err := dhcpv4.New(dhcpv4.WithYourIP(net.IPv4(10, 77, 0, 9)), dhcpv4.WithServerIP(net.IPv4(10, 77, 0, 1)), dhcpv4.WithNetmask(net.CIDRMask(bits, 32)))
	require.NoError(t, err)
	for _, o := range append(options, dhcpv4.OptServerIdentifier(net.IPv4(10, 77, 0, 1))) {
		p.UpdateOption(o)
	}
	return p
}

// A stand-in has the routes that a client makes of an offer: with classless ones no router, by
// nobody who is not on its network unless its address is all of that.
func TestRoutesOfAnOffer(t *testing.T) {
	if !nettest.Isolated(t) {
		return
	}
	router := dhcpv4.OptRouter(net.IPv4(10, 77, 0, 1))
	classless := func(to string, via ...byte) dhcpv4.Option {
		_, n, err := net.ParseCIDR(to)
		require.NoError(t, err)
		return dhcpv4.OptClasslessStaticRoute(&dhcpv4.Route{Dest: n, Router: via})
	}
	for name, test := range map[string]struct {
		offer   *dhcpv4.DHCPv4
		gateway string // as the offer is told of
		routes  []string
	}{
		"a router":               {offered(t, 24, router), "10.77.0.1", []string{"0.0.0.0/0 10.77.0.1"}},
		"none":                   {offered(t, 24), "invalid IP", nil},
		"classless ones instead": {offered(t, 24, router, classless("0.0.0.0/0", 10, 77, 0, 254)), "10.77.0.254", []string{"0.0.0.0/0 10.77.0.254"}},
		"no default among them":  {offered(t, 24, router, classless("192.0.2.0/24", 10, 77, 0, 2)), "invalid IP", []string{"192.0.2.0/24 10.77.0.2"}},
		"one on the link":        {offered(t, 24, classless("192.0.2.0/24", 0, 0, 0, 0)), "invalid IP", []string{"192.0.2.0/24 <nil>"}},
		"a router elsewhere":     {offered(t, 30, router), "10.77.0.1", nil},
		"all of its network":     {offered(t, 32, router), "10.77.0.1", []string{"0.0.0.0/0 10.77.0.1"}},
	} {
		link := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: nic}, PeerName: "peer"}
		require.NoError(t, netlink.LinkAdd(link))
		peer, err := netlink.LinkByName(link.PeerName)
		require.NoError(t, err)
		require.NoError(t, errors.Join(netlink.LinkSetUp(peer), netlink.LinkSetUp(link)))
		a, err := taken(test.offer)
		require.NoError(t, err, name)
		h, err := netlink.NewHandle()
		require.NoError(t, err)
		require.NoError(t, a.set(h), name)
		all, err := netlink.RouteList(link, netlink.FAMILY_V4)
		require.NoError(t, err)
		var routes []string
		for _, r := range all {
			if r.Protocol != 2 { // the kernel's own
				routes = append(routes, r.Dst.String()+" "+r.Gw.String())
			}
		}
		require.Equal(t, test.routes, routes, name)
		require.Equal(t, test.gateway, offerOf(test.offer).Gateway().String(), name)
		require.NoError(t, netlink.LinkDel(link))
		h.Close()
	}
	_, err := taken(offered(t, 0, router))
	require.ErrorContains(t, err, "no address with a netmask")
	require.Equal(t, netip.MustParseAddr("10.77.0.1"), offerOf(offered(t, 24)).Server)
}

// Further servers are waited for only where the first one is not the host's own; each is told once.
func TestOffers(t *testing.T) {
	t.Parallel()
	own, other := netip.MustParseAddr("10.77.0.1"), netip.MustParseAddr("10.77.0.20")
	s := &StandIn{Network: networks.Network{Addresses: []netip.Prefix{netip.MustParsePrefix("10.77.0.1/24")}}}
	require.Empty(t, s.Offers(), "nobody was asked")
	s.heard = &hearing{over: make(chan struct{})}
	s.heard.add(model.DHCPOffer{Server: own})
	s.heard.add(model.DHCPOffer{Server: own})
	require.Len(t, s.Offers(), 1)

	s.heard = &hearing{over: make(chan struct{})}
	s.heard.add(model.DHCPOffer{Server: other})
	heard := make(chan []model.DHCPOffer)
	go func() { heard <- s.Offers() }()
	s.heard.add(model.DHCPOffer{Server: own})
	select {
	case <-heard:
		t.Fatal("it did not wait")
	default:
	}
	close(s.heard.over)
	require.Len(t, <-heard, 2)
}

// wire counts the questions, and has one answer to them or none.
type wire struct {
	net.PacketConn
	offer  []byte
	answer chan []byte
	closed chan struct{}
	asked  atomic.Int32
}

func (w *wire) WriteTo(p []byte, _ net.Addr) (int, error) {
	if w.asked.Add(1) == 1 && w.offer != nil {
		w.answer <- w.offer
	}
	return len(p), nil
}

func (w *wire) ReadFrom(p []byte) (int, net.Addr, error) {
	select {
	case b := <-w.answer:
		return copy(p, b), &net.UDPAddr{}, nil
	case <-w.closed:
		return 0, nil, net.ErrClosed
	}
}

func (w *wire) Close() error {
	close(w.closed)
	return nil
}

// Nobody is asked again who has answered.
func TestAskedOnce(t *testing.T) {
	t.Parallel()
	for name, answers := range map[string]bool{"answered": true, "unanswered": false} {
		mac := net.HardwareAddr{2, 0, 0, 0, 0, 9}
		question, err := dhcpv4.NewDiscovery(mac)
		require.NoError(t, err)
		w := &wire{answer: make(chan []byte, 1), closed: make(chan struct{})}
		h := &hearing{first: make(chan *dhcpv4.DHCPv4, 1), over: make(chan struct{})}
		client, err := nclient4.NewWithConn(asking{w, h}, mac, nclient4.WithTimeout(20*time.Millisecond), nclient4.WithRetry(3))
		require.NoError(t, err)
		if answers {
			offer, err := dhcpv4.NewReplyFromRequest(question, dhcpv4.WithMessageType(dhcpv4.MessageTypeOffer))
			require.NoError(t, err)
			w.offer = offer.ToBytes()
		}
		require.Error(t, h.hear(t.Context(), client, question), "until the time is over")
		require.Equal(t, answers, len(h.soFar()) == 1, name)
		require.Equal(t, answers, w.asked.Load() == 1, "%s: asked %d times", name, w.asked.Load())
	}
}
