package listen

import (
	"bufio"
	"io"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nestlab/nestlab/observe/inroot"
)

// Bounds of what is read of dnsmasq's options.
const (
	maxOptions = 32
	maxOption  = 200 // bytes
	maxConf    = 1 << 16
)

// telling are the options of dnsmasq that decide which addresses names have, and which
// addresses, gateways and resolvers guests get.
var telling = []string{
	"address", "alias", "bogus-nxdomain", "cname", "dhcp-ignore", "dhcp-option", "dhcp-option-force", "dhcp-range", "filter-A", "filter-AAAA", "host-record",
	"ignore-address", "local", "no-resolv", "rebind-domain-ok", "resolv-file", "server", "stop-dns-rebind",
}

// unread are the options by which dnsmasq is told servers that are not looked for here.
var unread = []string{"conf-dir", "servers-file", "enable-dbus"}

// short are the options of dnsmasq that matter here and have a letter.
var short = map[string]string{
	"-7": "conf-dir", "-1": "enable-dbus", "-C": "conf-file", "-R": "no-resolv", "-r": "resolv-file", "-S": "server",
	"-F": "dhcp-range", "-G": "dhcp-host", "-l": "dhcp-leasefile", "-9": "leasefile-ro", "-J": "dhcp-ignore", "-i": "interface",
}

// dnsmasq is what one with these arguments was told, in its root directory.
type dnsmasq struct {
	options []string
	// servers are those that it asks for any name; known is set where all of them were read.
	servers []netip.AddrPort
	known   bool
	pools   []Pool
}

// readDnsmasq reads the arguments and the file that they name. A file that cannot be read
// tells nothing.
func readDnsmasq(root string, args []string) dnsmasq {
	d := dnsmasq{known: true}
	var all []option
	file := "/etc/dnsmasq.conf"
	for i, arg := range args {
		name, value, given := strings.Cut(strings.TrimPrefix(arg, "--"), "=")
		if long, is := short[arg]; is {
			name = long
		} else if !strings.HasPrefix(arg, "--") {
			continue
		}
		if !given && i+1 < len(args) && !strings.HasPrefix(args[i+1], "-") {
			value = args[i+1]
		}
		if name == "conf-file" {
			file = "" // of an empty name none is read
		}
		if name == "conf-file" && value != "" {
			in, read := optionsIn(root, value)
			all, d.known = append(all, in...), d.known && read
		}
		all = append(all, option{name, value})
	}
	if file != "" {
		in, _ := optionsIn(root, file) // there need not be one
		all = append(in, all...)
	}
	for _, o := range all {
		d.options = appendOption(d.options, o)
		d.known = d.known && !slices.Contains(unread, o.name)
	}
	servers, read := serversOf(root, all)
	d.servers, d.known, d.pools = servers, d.known && read, poolsOf(root, all, time.Now())
	d.options = d.options[:min(len(d.options), maxOptions)]
	return d
}

type option struct{ name, value string }

// serversOf are the servers that options, and the file for them, name for any name.
func serversOf(root string, all []option) (servers []netip.AddrPort, read bool) {
	file := "/etc/resolv.conf"
	for _, o := range all {
		switch o.name {
		case "no-resolv":
			file = ""
		case "resolv-file":
			if file != "" && o.value != "" {
				file = o.value
			}
		case "server":
			if at, ok := serverOf(o.value); ok {
				servers = append(servers, at)
			}
		}
	}
	if file == "" {
		return servers, true
	}
	f, err := inroot.Open(root, file)
	if err != nil {
		return servers, false
	}
	defer f.Close()
	for lines := bufio.NewScanner(io.LimitReader(f, maxConf)); lines.Scan(); {
		words := strings.Fields(lines.Text())
		if len(words) < 2 || words[0] != "nameserver" {
			continue
		}
		if a, err := netip.ParseAddr(words[1]); err == nil {
			servers = append(servers, netip.AddrPortFrom(a, DNS))
		}
	}
	return servers, true
}

// serverOf is the server of a value such as 192.0.2.1#5353@eth0; false for one of some
// domains alone.
func serverOf(value string) (netip.AddrPort, bool) {
	value = strings.TrimPrefix(value, "/#/")
	address, _, _ := strings.Cut(value, "@")
	address, text, given := strings.Cut(address, "#")
	a, err := netip.ParseAddr(address)
	port := uint64(DNS)
	if given && err == nil {
		port, err = strconv.ParseUint(text, 10, 16)
	}
	return netip.AddrPortFrom(a, uint16(port)), err == nil
}

// optionsIn are those of a file of dnsmasq's; read is false for one that cannot be.
func optionsIn(root, path string) (all []option, read bool) {
	f, err := inroot.Open(root, path)
	if err != nil {
		return nil, false
	}
	defer f.Close()
	for lines := bufio.NewScanner(io.LimitReader(f, maxConf)); lines.Scan(); {
		text, _, _ := strings.Cut(lines.Text(), "#")
		name, value, _ := strings.Cut(strings.TrimSpace(text), "=")
		all = append(all, option{strings.TrimSpace(name), strings.TrimSpace(value)})
	}
	return all, true
}

func appendOption(all []string, o option) []string {
	if !slices.Contains(telling, o.name) || len(o.name)+len(o.value) > maxOption {
		return all
	}
	text := o.name
	if o.value != "" {
		text += "=" + o.value
	}
	return append(all, strings.ToValidUTF8(text, "\uFFFD"))
}
