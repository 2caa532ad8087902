package listen

import (
	"bufio"
	"io"
	"os"
	"slices"
	"strings"
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
	"address", "alias", "bogus-nxdomain", "cname", "dhcp-option", "dhcp-option-force", "dhcp-range", "filter-A", "filter-AAAA", "host-record",
	"ignore-address", "local", "no-resolv", "rebind-domain-ok", "server", "stop-dns-rebind",
}

// dnsmasqOptions are those of a dnsmasq with these arguments, and of the file that they name.
// A file that cannot be read tells nothing: it is another user's, or of another mount namespace.
func dnsmasqOptions(args []string) []string {
	var all []string
	for i, arg := range args {
		name, value, given := strings.Cut(strings.TrimPrefix(arg, "--"), "=")
		if !strings.HasPrefix(arg, "--") {
			continue
		}
		if !given && i+1 < len(args) && !strings.HasPrefix(args[i+1], "-") {
			value = args[i+1]
		}
		if name == "conf-file" && value != "" {
			all = append(all, optionsIn(value)...)
		}
		all = appendOption(all, name, value)
	}
	return all[:min(len(all), maxOptions)]
}

// optionsIn are those of a file of dnsmasq's.
func optionsIn(path string) []string {
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	var all []string
	for lines := bufio.NewScanner(io.LimitReader(f, maxConf)); lines.Scan(); {
		text, _, _ := strings.Cut(lines.Text(), "#")
		name, value, _ := strings.Cut(strings.TrimSpace(text), "=")
		all = appendOption(all, strings.TrimSpace(name), strings.TrimSpace(value))
	}
	return all
}

func appendOption(all []string, name, value string) []string {
	if !slices.Contains(telling, name) || len(name)+len(value) > maxOption {
		return all
	}
	if value != "" {
		name += "=" + value
	}
	return append(all, strings.ToValidUTF8(name, "\uFFFD"))
}
