package world

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/nestlab/nestlab/testbed/world/internet"
)

// The wire between runner and internet: the names of its ends.
const (
	RunnerLink   = "eth0"
	InternetLink = "lan"
)

// RunnerAddress is the simulated runner's own address.
var RunnerAddress = netip.MustParseAddr("198.51.100.200")

// RunnerAddress6 is its IPv6 address, where it has one. To it the internet routes Guests6,
// of which the runner's bridges take their networks.
var (
	RunnerAddress6 = netip.MustParseAddr("2001:db8:1::200")
	Guests6        = netip.MustParsePrefix("2001:db8:77::/48")
)

// network is the two network namespaces. They have no names: they go with their last user.
type network struct {
	internet, runner netns.NsHandle
	ipv6             bool
}

func newNetwork(ipv6 bool) (_ *network, err error) {
	n := &network{internet: netns.None(), runner: netns.None(), ipv6: ipv6}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("make the simulated network: %w", err), n.close())
		}
	}()
	if err := onThread(func() error { return n.makeInternet() }); err != nil {
		return nil, fmt.Errorf("internet: %w", err)
	}
	if err := onThread(func() error { return n.makeRunner() }); err != nil {
		return nil, fmt.Errorf("runner: %w", err)
	}
	if err := onThread(func() error { return n.joinInternet() }); err != nil {
		return nil, fmt.Errorf("internet: %w", err)
	}
	return n, nil
}

func (n *network) close() error {
	var errs []error
	for _, ns := range []*netns.NsHandle{&n.internet, &n.runner} {
		if ns.IsOpen() {
			errs = append(errs, ns.Close())
		}
	}
	return errors.Join(errs...)
}

// makeInternet makes the internet's namespace with the addresses of its sites,
// and drops echo requests, like the cloud that it imitates.
func (n *network) makeInternet() (err error) {
	if n.internet, err = netns.New(); err != nil {
		return fmt.Errorf("make a network namespace: %w", err)
	}
	if err := setSysctl("net/ipv4/ip_forward", "1"); err != nil {
		return err
	}
	addresses := []netip.Addr{internet.Resolver}
	for _, s := range internet.Sites(n.ipv6) {
		addresses = append(addresses, s.IPv4)
		if n.ipv6 {
			addresses = append(addresses, s.IPv6)
		}
	}
	for _, a := range addresses {
		if err := addAddress("lo", netip.PrefixFrom(a, a.BitLen())); err != nil {
			return err
		}
	}
	if err := linkUp("lo"); err != nil {
		return err
	}
	return dropEcho()
}

// makeRunner makes the runner's namespace, wired to the internet's.
func (n *network) makeRunner() (err error) {
	if n.runner, err = netns.New(); err != nil {
		return fmt.Errorf("make a network namespace: %w", err)
	}
	// A new namespace inherits the machine's value, and dockerd sets the policy
	// DROP only if it is the one that turns forwarding on: start as after boot.
	if err := setSysctl("net/ipv4/ip_forward", "0"); err != nil {
		return err
	}
	if err := enableIPv6(); err != nil {
		return err
	}
	attributes := netlink.NewLinkAttrs()
	attributes.Name = RunnerLink
	veth := &netlink.Veth{LinkAttrs: attributes, PeerName: InternetLink, PeerNamespace: netlink.NsFd(n.internet)}
	if err := netlink.LinkAdd(veth); err != nil {
		return fmt.Errorf("make the veth pair %s and %s: %w", RunnerLink, InternetLink, err)
	}
	if err := addAddress(RunnerLink, netip.PrefixFrom(RunnerAddress, internet.Network.Bits())); err != nil {
		return err
	}
	if n.ipv6 {
		if err := addAddress(RunnerLink, netip.PrefixFrom(RunnerAddress6, internet.Network6.Bits())); err != nil {
			return err
		}
	}
	return errors.Join(linkUp("lo"), linkUp(RunnerLink))
}

// joinInternet brings up the internet's end of the wire, and then the route to it.
func (n *network) joinInternet() error {
	if err := netns.Set(n.internet); err != nil {
		return fmt.Errorf("enter the network namespace: %w", err)
	}
	if err := addAddress(InternetLink, netip.PrefixFrom(internet.Gateway, internet.Network.Bits())); err != nil {
		return err
	}
	if err := linkUp(InternetLink); err != nil {
		return err
	}
	if n.ipv6 {
		if err := addAddress(InternetLink, netip.PrefixFrom(internet.Gateway6, internet.Network6.Bits())); err != nil {
			return err
		}
		if err := addRoute(InternetLink, Guests6, RunnerAddress6); err != nil {
			return err
		}
	}
	if err := netns.Set(n.runner); err != nil {
		return fmt.Errorf("enter the network namespace: %w", err)
	}
	if err := addRoute(RunnerLink, netip.PrefixFrom(netip.IPv4Unspecified(), 0), internet.Gateway); err != nil || !n.ipv6 {
		return err
	}
	return addRoute(RunnerLink, netip.PrefixFrom(netip.IPv6Unspecified(), 0), internet.Gateway6)
}

// addRoute adds the way to a network by an interface and a gateway.
func addRoute(name string, to netip.Prefix, via netip.Addr) error {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return fmt.Errorf("find %s: %w", name, err)
	}
	route := &netlink.Route{LinkIndex: link.Attrs().Index, Dst: ipNet(to), Gw: via.AsSlice()}
	if err := netlink.RouteAdd(route); err != nil {
		return fmt.Errorf("add the route to %s via %s: %w", to, via, err)
	}
	return nil
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

// setSysctl writes a network setting of the thread's namespace.
func setSysctl(name, value string) error {
	if err := os.WriteFile("/proc/sys/"+name, []byte(value), 0o644); err != nil {
		return fmt.Errorf("set %s to %s: %w", name, value, err)
	}
	return nil
}

// enableIPv6 makes sure that IPv6 is there without a route, as on hosted
// runners, whatever the machine's own setting; a kernel without it stays so.
func enableIPv6() error {
	const setting = "net/ipv6/conf/all/disable_ipv6"
	if _, err := os.Stat("/proc/sys/" + setting); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return setSysctl(setting, "0")
}

func addAddress(name string, prefix netip.Prefix) error {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return fmt.Errorf("find %s: %w", name, err)
	}
	address := &netlink.Addr{IPNet: ipNet(prefix)}
	if prefix.Addr().Is6() {
		address.Flags = unix.IFA_F_NODAD // in use at once
	}
	if err := netlink.AddrAdd(link, address); err != nil {
		return fmt.Errorf("add %s to %s: %w", prefix, name, err)
	}
	return nil
}

func linkUp(name string) error {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return fmt.Errorf("find %s: %w", name, err)
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return fmt.Errorf("bring up %s: %w", name, err)
	}
	return nil
}

// The types of what ping sends (RFC 792 and RFC 4443).
const icmpEchoRequest, icmpv6EchoRequest = 8, 128

// dropEcho drops every echo request that comes in, before it is routed: for
// the own addresses and for those that do not exist alike.
func dropEcho() error {
	c, err := nftables.New()
	if err != nil {
		return fmt.Errorf("open nftables: %w", err)
	}
	table := c.AddTable(&nftables.Table{Family: nftables.TableFamilyINet, Name: "nestlab"})
	chain := c.AddChain(&nftables.Chain{
		Name: "echo", Table: table, Type: nftables.ChainTypeFilter,
		Hooknum: nftables.ChainHookPrerouting, Priority: nftables.ChainPriorityFilter,
	})
	for protocol, kind := range map[byte]byte{unix.IPPROTO_ICMP: icmpEchoRequest, unix.IPPROTO_ICMPV6: icmpv6EchoRequest} {
		c.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: []expr.Any{
			&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1},
			&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{protocol}},
			&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 0, Len: 1},
			&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{kind}},
			&expr.Counter{},
			&expr.Verdict{Kind: expr.VerdictDrop},
		}})
	}
	if err := c.Flush(); err != nil {
		return fmt.Errorf("drop echo requests by nftables: %w", err)
	}
	return nil
}
