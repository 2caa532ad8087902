// Package internet holds the servers of the simulated internet: DNS, HTTP and
// HTTPS with an own certificate authority, an OCI registry and an apt
// repository. One code has two uses: in a network namespace, where every name
// has its own address, and as a service in a container, where every name is the
// container's own address.
package internet

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"slices"
	"syscall"
)

// Domain is the only domain that exists in the simulated internet.
const Domain = "lab.test"

// The names that resolve.
const (
	Archive  = "archive." + Domain  // plain site and apt repository under /debian/
	Download = "download." + Domain // plain site and Docker's apt key under /linux/debian/gpg
	Registry = "registry." + Domain // OCI registry, over HTTPS only
	Get      = "get." + Domain      // the script that installs Docker from the apt repository
)

// The addresses of the namespaced form, from the range for documentation
// (RFC 5737 and RFC 3849).
var (
	Network  = netip.MustParsePrefix("198.51.100.0/24")
	Gateway  = netip.MustParseAddr("198.51.100.1")
	Resolver = netip.MustParseAddr("198.51.100.53")

	// Network6 and Gateway6 are there where IPv6 works.
	Network6 = netip.MustParsePrefix("2001:db8:1::/64")
	Gateway6 = netip.MustParseAddr("2001:db8:1::1")
)

// Site is one name of the simulated internet and its addresses.
type Site struct {
	Name string     `json:"name"`
	IPv4 netip.Addr `json:"ipv4"`
	// IPv6 is only told by DNS, and nothing listens there without Config.IPv6: hosted
	// runners have dual-stack names and no IPv6 route. The zero value tells none.
	IPv6 netip.Addr `json:"ipv6,omitzero"`
}

// Sites are the names with an address each, as in the network namespace.
func Sites(dualStack bool) []Site {
	sites := []Site{
		{Name: Archive, IPv4: netip.MustParseAddr("198.51.100.10"), IPv6: netip.MustParseAddr("2001:db8::10")},
		{Name: Download, IPv4: netip.MustParseAddr("198.51.100.11"), IPv6: netip.MustParseAddr("2001:db8::11")},
		{Name: Registry, IPv4: netip.MustParseAddr("198.51.100.12"), IPv6: netip.MustParseAddr("2001:db8::12")},
		{Name: Get, IPv4: netip.MustParseAddr("198.51.100.13"), IPv6: netip.MustParseAddr("2001:db8::13")},
	}
	if !dualStack {
		for i := range sites {
			sites[i].IPv6 = netip.Addr{}
		}
	}
	return sites
}

// SitesAt are the names all at one address, as in a container.
func SitesAt(address netip.Addr) []Site {
	sites := Sites(false)
	for i := range sites {
		sites[i].IPv4 = address
	}
	return sites
}

// OwnAddress is the first IPv4 address of an interface that is up and not
// loopback: the address that a container's peers know it by.
func OwnAddress() (netip.Addr, error) {
	interfaces, err := net.Interfaces()
	if err != nil {
		return netip.Addr{}, fmt.Errorf("list interfaces for the own address: %w", err)
	}
	for _, i := range interfaces {
		if i.Flags&net.FlagUp == 0 || i.Flags&net.FlagLoopback != 0 {
			continue
		}
		addresses, err := i.Addrs()
		if err != nil {
			return netip.Addr{}, fmt.Errorf("list addresses of %s: %w", i.Name, err)
		}
		for _, a := range addresses {
			p, err := netip.ParsePrefix(a.String())
			if err == nil && p.Addr().Is4() && p.Addr().IsGlobalUnicast() {
				return p.Addr(), nil
			}
		}
	}
	return netip.Addr{}, fmt.Errorf("no interface has an IPv4 address: name one with --address")
}

// IgnoreEcho makes this machine, or the network namespace of this container,
// answer no ping, like the cloud that it imitates. Without the right to do so
// the error is fs.ErrPermission.
func IgnoreEcho() error {
	const setting = "/proc/sys/net/ipv4/icmp_echo_ignore_all"
	err := os.WriteFile(setting, []byte("1"), 0o644)
	if errors.Is(err, syscall.EROFS) {
		err = errors.Join(fs.ErrPermission, err)
	}
	if err != nil {
		return fmt.Errorf("ignore ping: %w", err)
	}
	return nil
}

// Config says what to serve. It travels as JSON to the process that serves.
type Config struct {
	// Resolver is the address that DNS listens on, UDP and TCP port 53.
	Resolver netip.Addr `json:"resolver"`
	// Sites are the names; HTTP and HTTPS listen on each of their IPv4 addresses, and with
	// IPv6 on those of IPv6 too.
	Sites []Site `json:"sites"`
	IPv6  bool   `json:"ipv6,omitempty"`
	// State is the directory that the registry keeps its blobs in.
	State string `json:"state"`
	// CAFile is where the certificate authority's PEM is written; empty for nowhere.
	CAFile string `json:"ca_file,omitempty"`
	// Images are put into the registry before it is ready.
	Images []Image `json:"images,omitempty"`
	// AptRepository is the directory served as http://archive.lab.test/debian; empty for none.
	AptRepository string `json:"apt_repository,omitempty"`
	// Vendor is the directory of a site such as Docker's own, which every name has, and its
	// script; empty for a key and a script alone.
	Vendor string `json:"vendor,omitempty"`

	// Log gets one JSON line for each request; nil for none.
	Log io.Writer `json:"-"`
	// Ready is called once everything is bound and seeded; nil for nobody.
	Ready func() `json:"-"`
	// Conduct changes how the running servers behave; nil for never.
	Conduct *Conduct `json:"-"`
}

// addresses are the distinct addresses of the sites that are listened on.
func (c Config) addresses() []netip.Addr {
	var out []netip.Addr
	for _, s := range c.Sites {
		if !slices.Contains(out, s.IPv4) {
			out = append(out, s.IPv4)
		}
		if c.IPv6 && s.IPv6.IsValid() && !slices.Contains(out, s.IPv6) {
			out = append(out, s.IPv6)
		}
	}
	return out
}

func (c Config) check() error {
	switch {
	case !c.Resolver.IsValid():
		return fmt.Errorf("simulated internet: no resolver address given")
	case len(c.Sites) == 0:
		return fmt.Errorf("simulated internet: no sites given")
	case c.State == "":
		return fmt.Errorf("simulated internet: no state directory given for the registry's blobs")
	}
	for _, s := range c.Sites {
		if !s.IPv4.Is4() {
			return fmt.Errorf("simulated internet: %s has no IPv4 address", s.Name)
		}
	}
	return nil
}
