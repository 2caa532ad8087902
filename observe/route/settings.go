package route

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// maxInterfaces bounds how many interfaces are told.
const maxInterfaces = 512

// Settings are the namespace's own.
type Settings struct {
	Forwarding4 bool `json:"forwarding4"` // net.ipv4.ip_forward
	// Forwarding6 is net.ipv6.conf.all.forwarding, which alone decides (but see
	// Interface.ForceForwarding6); false also where there is no IPv6.
	Forwarding6 bool `json:"forwarding6"`
	IPv6        bool `json:"ipv6"` // the kernel has it
	// The filters of bridged packets; nil where br_netfilter is not loaded.
	BridgeIPTables  *bool `json:"bridge_nf_call_iptables,omitempty"`
	BridgeIP6Tables *bool `json:"bridge_nf_call_ip6tables,omitempty"`
	BridgeARPTables *bool `json:"bridge_nf_call_arptables,omitempty"`

	Interfaces []Interface `json:"interfaces"`
}

// Interface is one interface with what decides about its packets.
type Interface struct {
	Name      string         `json:"name"`
	Index     int            `json:"index"`
	Kind      string         `json:"kind"`             // device, bridge, veth, vxlan, tun, …
	Master    string         `json:"master,omitempty"` // the bridge or VRF that it is a port of
	Up        bool           `json:"up"`
	State     string         `json:"state"` // operational: up, down, lower-layer-down, unknown
	MTU       int            `json:"mtu"`
	Addresses []netip.Prefix `json:"addresses,omitempty"`

	Forwarding4 bool `json:"forwarding4"`
	// RPFilter is 0 off, 1 strict, 2 loose: the higher one of "all" and its own.
	RPFilter    int  `json:"rp_filter"`
	AcceptLocal bool `json:"accept_local,omitempty"` // of "all" or its own
	ProxyARP    bool `json:"proxy_arp,omitempty"`    // of "all" or its own
	NoARP       bool `json:"no_arp,omitempty"`       // switched off, on a kind that has it
	// ARPIgnore says which requests are not answered, 8 none: the higher one of "all" and its own.
	ARPIgnore int `json:"arp_ignore,omitempty"`
	// IPv6 is false where it is disabled (disable_ipv6) or not there.
	IPv6             bool `json:"ipv6"`
	ForceForwarding6 bool `json:"force_forwarding6,omitempty"` // since Linux 6.17
	// Forwarding6 tells whether it acts as a router; the packets of the others are forwarded all the same.
	Forwarding6 bool `json:"forwarding6"`
}

// Read reads the settings.
func Read() (Settings, error) {
	var s Settings
	f := &reader{}
	s.Forwarding4 = f.on("net/ipv4/ip_forward")
	s.IPv6 = f.optional("net/ipv6/conf/all/forwarding") != nil
	s.Forwarding6 = s.IPv6 && f.on("net/ipv6/conf/all/forwarding")
	s.BridgeIPTables = f.optional("net/bridge/bridge-nf-call-iptables")
	s.BridgeIP6Tables = f.optional("net/bridge/bridge-nf-call-ip6tables")
	s.BridgeARPTables = f.optional("net/bridge/bridge-nf-call-arptables")
	links, err := netlink.LinkList()
	if err != nil {
		return s, errors.Join(f.err(), fmt.Errorf("list the interfaces: %w", err))
	}
	if len(links) > maxInterfaces {
		f.errs = append(f.errs, fmt.Errorf("read the settings of %d interfaces: only the first %d are told", len(links), maxInterfaces))
		links = links[:maxInterfaces]
	}
	names := map[int]string{}
	for _, l := range links {
		names[l.Attrs().Index] = l.Attrs().Name
	}
	for _, l := range links {
		i := f.one(l)
		i.Master = names[l.Attrs().MasterIndex]
		s.Interfaces = append(s.Interfaces, i)
	}
	return s, f.err()
}

// reader reads sysctls and keeps the errors.
type reader struct{ errs []error }

func (f *reader) err() error { return errors.Join(f.errs...) }

func (f *reader) one(l netlink.Link) Interface {
	a := l.Attrs()
	i := Interface{Name: a.Name, Index: a.Index, Kind: l.Type(), Up: a.Flags&net.FlagUp != 0, State: a.OperState.String(), MTU: a.MTU}
	addresses, err := netlink.AddrList(l, netlink.FAMILY_ALL)
	switch {
	case errors.Is(err, netlink.ErrDumpInterrupted), err == nil: // of a change at the same time; the rest holds
	default:
		f.errs = append(f.errs, fmt.Errorf("list the addresses of %s: %w", a.Name, err))
	}
	for _, at := range addresses {
		i.Addresses = append(i.Addresses, prefix(at.IPNet))
	}
	i.NoARP = a.RawFlags&unix.IFF_NOARP != 0 && slices.Contains([]string{"device", "bridge", "veth", "vlan", "bond"}, i.Kind) && a.EncapType == "ether"
	own, all := filepath.Join("net/ipv4/conf", a.Name), "net/ipv4/conf/all"
	i.Forwarding4 = f.on(own + "/forwarding")
	i.RPFilter = max(f.int(all+"/rp_filter"), f.int(own+"/rp_filter"))
	i.AcceptLocal = f.on(all+"/accept_local") || f.on(own+"/accept_local")
	i.ProxyARP = f.on(all+"/proxy_arp") || f.on(own+"/proxy_arp")
	i.ARPIgnore = max(f.int(all+"/arp_ignore"), f.int(own+"/arp_ignore"))
	own = filepath.Join("net/ipv6/conf", a.Name)
	if disabled := f.optional(own + "/disable_ipv6"); disabled != nil { // not where the MTU is too small for IPv6
		i.IPv6 = !*disabled
		i.Forwarding6 = f.on(own + "/forwarding")
		force := f.optional(own + "/force_forwarding")
		i.ForceForwarding6 = force != nil && *force
	}
	return i
}

func (f *reader) on(path string) bool { return f.int(path) != 0 }

func (f *reader) int(path string) int {
	n, err := readInt(path)
	if err != nil {
		f.errs = append(f.errs, err)
	}
	return n
}

// optional reads a sysctl that need not be there.
func (f *reader) optional(path string) *bool {
	n, err := readInt(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		f.errs = append(f.errs, err)
	}
	on := n != 0
	return &on
}

// reversePath returns an interface's effective rp_filter.
func reversePath(name string) (int, error) {
	all, err := readInt("net/ipv4/conf/all/rp_filter")
	if err != nil {
		return 0, err
	}
	own, err := readInt("net/ipv4/conf", name, "rp_filter")
	return max(all, own), err
}

func readInt(path ...string) (int, error) {
	name := filepath.Join(append([]string{"/proc/sys"}, path...)...)
	b, err := os.ReadFile(name)
	if err != nil {
		return 0, fmt.Errorf("read a sysctl: %w", err)
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		return 0, fmt.Errorf("read sysctl %s: %w", name, err)
	}
	return n, nil
}
