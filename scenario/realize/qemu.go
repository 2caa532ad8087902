package realize

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"

	"github.com/vishvananda/netlink"

	"github.com/nestlab/nestlab/scenario"
	"github.com/nestlab/nestlab/session"
	"github.com/nestlab/nestlab/vm"
)

// docker0 is Docker's own bridge.
const docker0 = "docker0"

// guest is a scenario's QEMU guest.
func (m *Maker) guest(s scenario.Scenario, environment string) session.Environment {
	q := m.Machine(environment, s.Kernel)
	q.At, q.With, q.Tap = s.In(environment), s.Suites(), short(s.In(environment))
	q.Dir = filepath.Join(filepath.Dir(q.Dir), slug(q.At))
	q.NIC, q.NoOffloads = s.NIC, s.Name == scenario.Offloads
	q.Args = func(round string) []string { return m.arguments(s, round) }
	return &staged{Environment: &q, before: func(context.Context) (func(context.Context) error, error) {
		_, err := os.Stat(q.Image.Kernel)
		if s.Kernel && errors.Is(err, fs.ErrNotExist) {
			return nil, inapplicable("there is no stock kernel here for a guest (dagger call guest --stock-kernel, for nestlab vm run --guest): %v", err)
		}
		if err != nil {
			return nil, fmt.Errorf("find the kernel of the guest %s: %w; `dagger call guest export --path DIR` makes what `nestlab vm run --guest DIR` boots", q.At, err)
		}
		if s.Name == scenario.TapOnDocker0 {
			return nil, m.onDocker0(&q)
		}
		return nil, nil
	}}
}

// onDocker0 puts the guest on Docker's bridge, which has no DHCP: with the last
// address of its network.
func (m *Maker) onDocker0(q *vm.QEMU) error {
	link, err := netlink.LinkByName(docker0)
	if err != nil {
		return inapplicable("there is no %s on this machine: %v", docker0, err)
	}
	addresses, err := netlink.AddrList(link, netlink.FAMILY_V4)
	if err != nil {
		return fmt.Errorf("list the addresses of %s: %w", docker0, err)
	}
	if len(addresses) == 0 {
		return inapplicable("%s has no IPv4 address", docker0)
	}
	own, err := netip.ParsePrefix(addresses[0].IPNet.String())
	if err != nil {
		return fmt.Errorf("read the address of %s: %w", docker0, err)
	}
	if !m.Uplink.Resolver.IsValid() {
		return inapplicable("%s tells a guest no resolver, and the runner's own is on loopback alone or not known", docker0)
	}
	q.Bridge = docker0
	q.Tuning = &vm.Tuning{Address: netip.PrefixFrom(last(own), own.Bits()), Gateway: own.Addr(), Resolver: m.Uplink.Resolver}
	return nil
}

// last is the last address of a network that a host can have.
func last(network netip.Prefix) netip.Addr {
	a := network.Masked().Addr().As4()
	for bit := network.Bits(); bit < 31; bit++ {
		a[bit/8] |= 1 << (7 - bit%8)
	}
	return netip.AddrFrom4(a)
}
