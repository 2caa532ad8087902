package standin

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"github.com/miekg/dns"
	"github.com/vishvananda/netlink"

	"github.com/nestlab/nestlab/host/networks"
	"github.com/nestlab/nestlab/observe/arping"
	"github.com/nestlab/nestlab/observe/listen"
	"github.com/nestlab/nestlab/session"
)

const (
	// ownerWithin is how long the owner of an address has to say so: it is one hop away.
	ownerWithin = 150 * time.Millisecond
	// maxTaken is how many addresses that somebody has are tried.
	maxTaken = 8
)

// find finds what a guest of the network gets: what a DHCP server offers, which binds
// nobody as it is never asked for, or else addresses that nobody has.
func (s *StandIn) find(ctx context.Context) (Address, error) {
	v4, has4 := s.Network.Address(true)
	// A bridge that has lost its address is where guests still have it for their gateway.
	gateway, lost := s.Network.Lost()
	if lost {
		v4, has4 = gateway, true
	}
	serves, certain := s.serves(v4.Addr())
	// Guests of an uplink's bridge are on the network outside: the host is not their router.
	foreign := s.Network.Uplink || !has4
	if s.Network.DHCP || serves || foreign {
		a, err := s.lease(ctx)
		if err == nil {
			if !foreign {
				s.ipv6(&a)
			}
			return a, nil
		}
		if foreign {
			return a, session.Inapplicable{Why: fmt.Sprintf("the host is no router of %s, and no DHCP server offers an address there: %v", s.Network.Bridge, err)}
		}
		if !lost && (s.Network.DHCP || certain) {
			return Address{}, nil // as a guest: it has none
		}
	}
	a := Address{Gateways: []netip.Addr{v4.Addr()}, Resolvers: s.resolvers(v4.Addr())}
	if len(a.Resolvers) == 0 {
		return a, session.Inapplicable{Why: fmt.Sprintf("no resolver is known that guests of %s could ask", s.Network.Bridge)}
	}
	free, err := s.free(v4)
	if err != nil {
		return a, err
	}
	a.Prefixes = []netip.Prefix{free}
	s.ipv6(&a)
	return a, nil
}

// serves reports whether somebody on this host takes DHCP requests of the bridge, and
// whether those of this bridge for certain.
func (s *StandIn) serves(own netip.Addr) (serves, certain bool) {
	report, err := listen.Read(listen.DHCP)
	if err != nil {
		return false, false
	}
	for _, l := range report.Sockets {
		at := l.Address.Addr()
		bound := l.Device == s.Network.Bridge || own.IsValid() && at == own
		certain = certain || bound
		serves = serves || bound || l.Device == "" && at.IsUnspecified()
	}
	return serves, certain
}

// resolvers are those that guests of a network without DHCP have: the bridge's own, or
// the host's.
func (s *StandIn) resolvers(own netip.Addr) []netip.Addr {
	report, err := listen.Read(listen.DNS)
	if err == nil && slices.ContainsFunc(report.Sockets, func(l listen.Socket) bool { return l.Address.Addr() == own || l.Device == s.Network.Bridge }) {
		return []netip.Addr{own}
	}
	_, v6 := s.Network.Address(false)
	usable := slices.DeleteFunc(slices.Clone(s.Resolvers), func(a netip.Addr) bool { return a.Zone() != "" || a.Is6() && !v6 })
	if len(usable) == 0 && s.Network.Kind == networks.Docker {
		return []netip.Addr{netip.MustParseAddr("8.8.8.8"), netip.MustParseAddr("8.8.4.4")} // as Docker has it
	}
	return usable
}

// free finds an address of a network that nobody has.
func (s *StandIn) free(network netip.Prefix) (netip.Prefix, error) {
	known, err := netlink.NeighList(0, netlink.FAMILY_V4)
	if err != nil {
		return network, fmt.Errorf("list neighbours: %w", err)
	}
	taken := func(a netip.Addr) bool {
		return slices.ContainsFunc(known, func(n netlink.Neigh) bool { return n.IP.Equal(a.AsSlice()) })
	}
	for range maxTaken {
		candidate := pick(network)
		if !candidate.IsValid() {
			break
		}
		if candidate == network.Addr() || taken(candidate) {
			continue
		}
		used, err := s.used(candidate)
		if err != nil {
			return network, err
		}
		if !used {
			return netip.PrefixFrom(candidate, network.Bits()), nil
		}
	}
	return network, session.Inapplicable{Why: fmt.Sprintf("no free address was found in %s of %s", network.Masked(), s.Network.Bridge)}
}

// pick draws an address of the upper half of a network, which programs give out last.
func pick(network netip.Prefix) netip.Addr {
	hosts := uint64(1)<<min(network.Addr().BitLen()-network.Bits(), 32) - 1 // the last is for all
	if hosts < 3 {
		return netip.Addr{}
	}
	n := hosts/2 + rand.Uint64N(hosts-hosts/2)
	bytes := network.Masked().Addr().AsSlice()
	for i := len(bytes) - 1; n > 0; i-- {
		bytes[i] |= byte(n)
		n >>= 8
	}
	a, _ := netip.AddrFromSlice(bytes)
	return a
}

// used reports whether somebody on the link has an address.
func (s *StandIn) used(a netip.Addr) (bool, error) {
	mac, err := s.ownerOf(a)
	return mac != "", err
}

// ownerOf asks the link who has an address; it is empty for nobody.
func (s *StandIn) ownerOf(a netip.Addr) (mac string, err error) {
	err = apart(func() error {
		if err := enter(s.space); err != nil {
			return err
		}
		owners, err := arping.Ask(nic, a, ownerWithin)
		if len(owners) > 0 {
			mac = owners[0]
		}
		return err
	})
	return mac, err
}

// ipv6 adds an address of the bridge's network, where it has one: its last 64 bits are
// random, which nobody has.
func (s *StandIn) ipv6(a *Address) {
	v6, ok := s.Network.Address(false)
	if !ok || v6.Bits() > 64 {
		return
	}
	bytes := v6.Masked().Addr().As16()
	for i := 8; i < 16; i++ {
		bytes[i] = byte(rand.Uint32())
	}
	a.Prefixes = append(a.Prefixes, netip.PrefixFrom(netip.AddrFrom16(bytes), v6.Bits()))
	a.Gateways = append(a.Gateways, v6.Addr())
}

// HostResolvers are those of a host that its guests can use too: not on loopback, where
// those behind the local one are taken.
func HostResolvers(paths ...string) []netip.Addr {
	for _, path := range paths {
		var all []netip.Addr
		for _, text := range servers(path) {
			if a, err := netip.ParseAddr(text); err == nil && !a.IsLoopback() {
				all = append(all, a)
			}
		}
		if len(all) > 0 {
			return all
		}
	}
	return nil
}

// servers are those of a resolv.conf; none where it cannot be read, as for a guest.
func servers(path string) []string {
	conf, err := dns.ClientConfigFromFile(path)
	if err != nil {
		return nil
	}
	return conf.Servers
}
