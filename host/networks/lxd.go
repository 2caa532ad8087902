package networks

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"
)

// lxd reads which networks LXD and Incus manage: each has a directory.
func (o Options) lxd(context.Context) (all []Network, err error) {
	for _, of := range []struct {
		kind Kind
		dir  string
	}{{LXD, "var/snap/lxd/common/lxd"}, {LXD, "var/lib/lxd"}, {Incus, "var/lib/incus"}} {
		names, failed := list(filepath.Join(o.Root, of.dir, "networks"), "*")
		err = errors.Join(err, failed)
		for _, path := range names {
			name := filepath.Base(path)
			n := Network{Bridge: name, Kind: of.kind, Name: name}
			n.DHCP, n.Gateway, failed = dnsmasqOf(filepath.Join(path, "dnsmasq.pid"))
			err = errors.Join(err, failed)
			all = append(all, n)
		}
	}
	return all, err
}

// dnsmasqOf reads what LXD or Incus writes of a network's dnsmasq: it gives addresses of IPv4
// unless ipv4.dhcp is false, and listens at the bridge's own. Of one that has ended nothing is
// known: it is to give them.
func dnsmasqOf(path string) (dhcp bool, gateway netip.Prefix, err error) {
	text, err := read(path)
	if errors.Is(err, fs.ErrNotExist) {
		return true, netip.Prefix{}, nil
	}
	var process struct{ Args []string }
	if err == nil {
		err = yaml.Unmarshal(text, &process)
	}
	if err != nil {
		return true, netip.Prefix{}, fmt.Errorf("read of a network's dnsmasq: %w", err)
	}
	var own netip.Addr
	var last netip.Addr // of those that it gives
	for i, word := range process.Args {
		if address, is := strings.CutPrefix(word, "--listen-address="); is {
			if a, err := netip.ParseAddr(address); err == nil && a.Is4() {
				own = a
			}
		}
		if word != "--dhcp-range" || i+1 == len(process.Args) {
			continue
		}
		first, rest, _ := strings.Cut(process.Args[i+1], ",")
		if a, err := netip.ParseAddr(first); err != nil || !a.Is4() {
			continue
		}
		dhcp = true
		end, _, _ := strings.Cut(rest, ",")
		if a, err := netip.ParseAddr(end); err == nil && a.Is4() {
			last = a
		}
	}
	if own.IsValid() && last.IsValid() {
		gateway = narrowest(own, last)
	}
	return dhcp || len(process.Args) == 0, gateway, nil
}

// narrowest is an address in the narrowest network that has another one too, and for which
// that one is not the broadcast address.
func narrowest(own, other netip.Addr) netip.Prefix {
	bits := 30
	for bits > 0 && !netip.PrefixFrom(own, bits).Masked().Contains(other.Next()) {
		bits--
	}
	return netip.PrefixFrom(own, bits)
}
