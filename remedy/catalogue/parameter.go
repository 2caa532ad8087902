package catalogue

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Parameter makes a remedy concrete.
type Parameter struct {
	Name, About string
	// Default is used where it is not given; empty where there is none.
	Default  string
	Required bool
	// Example is a value, for help texts.
	Example string

	check func(string) error
}

// The families of addresses.
const (
	V4 = "v4"
	V6 = "v6"
)

// The defaults that more than one remedy has.
const (
	DaemonFile = "/etc/docker/daemon.json"
	KVM        = "/dev/kvm"
	LXDSocket  = "/var/lib/lxd/unix.socket"
)

func bridgeParameter() Parameter {
	return Parameter{Name: "bridge", About: "the bridge whose guests it is for", Required: true, Example: "lxdbr0", check: Interface}
}

func familyParameter() Parameter {
	return Parameter{Name: "family", About: "v4 or v6", Default: V4, Example: V4, check: oneOf(V4, V6)}
}

func fileParameter() Parameter {
	return Parameter{Name: "file", About: "dockerd's configuration", Default: DaemonFile, Example: DaemonFile, check: absolute}
}

func mtuParameter() Parameter {
	return Parameter{Name: "mtu", About: "the path's MTU in bytes, as the probe path-mtu says", Required: true, Example: "1400", check: between(576, 65535)}
}

func portParameter(port, about string) Parameter {
	return Parameter{Name: "port", About: about, Default: port, Example: port, check: between(1, 65535)}
}

// interfaceName is narrower than what the kernel takes: no real name needs more.
var interfaceName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.:@-]{0,14}$`)

// Interface checks the name of a network interface.
func Interface(s string) error {
	if !interfaceName.MatchString(s) {
		return errors.New("that is no interface's name; `ip -br link` lists them")
	}
	return nil
}

func oneOf(names ...string) func(string) error {
	return func(s string) error {
		if !slices.Contains(names, s) {
			return fmt.Errorf("give one of %s", strings.Join(names, ", "))
		}
		return nil
	}
}

func between(low, high int) func(string) error {
	return func(s string) error {
		n, err := strconv.Atoi(s)
		if err != nil || n < low || n > high {
			return fmt.Errorf("give a number from %d to %d", low, high)
		}
		return nil
	}
}

func absolute(s string) error {
	if !path.IsAbs(s) || path.Clean(s) != s || strings.ContainsAny(s, "\x00\n") {
		return errors.New("give an absolute path")
	}
	return nil
}

func subnet(s string) error {
	p, err := netip.ParsePrefix(s)
	if err != nil || p != p.Masked() {
		return errors.New("give a network such as 10.77.0.0/24")
	}
	return nil
}

// prefix checks an IPv4 address with the length of its network.
func prefix(s string) error {
	if p, err := netip.ParsePrefix(s); err != nil || !p.Addr().Is4() {
		return errors.New("give an IPv4 address with its prefix length, such as 10.78.0.1/24")
	}
	return nil
}

// server checks the address of a DNS server, with or without its port.
func server(s string) error {
	if _, err := netip.ParseAddr(s); err == nil {
		return nil
	}
	if _, err := netip.ParseAddrPort(s); err == nil {
		return nil
	}
	return errors.New("give an address such as 192.0.2.53 or 192.0.2.53:53")
}

func webAddress(s string) error {
	u, err := url.Parse(s)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.User != nil {
		return errors.New("give an address such as https://mirror.example")
	}
	return nil
}

var simpleName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$`)

func plainName(s string) error {
	if !simpleName.MatchString(s) {
		return errors.New("give a name of letters, digits, _, . and -")
	}
	return nil
}

// Tables and chains may have any name in nftables; these are the usual ones.
var tableName = regexp.MustCompile(`^(ip|ip6|inet|bridge) [A-Za-z0-9_.-]{1,64}$`)

func table(s string) error {
	if !tableName.MatchString(s) {
		return errors.New("give the family and the name of a table, such as 'inet filter'")
	}
	return nil
}
