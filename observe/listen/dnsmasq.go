package listen

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
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

// dnsmasqOptions are those of a dnsmasq with these arguments, and of the file that they name
// in its root directory. A file that cannot be read tells nothing.
func dnsmasqOptions(root string, args []string) []string {
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
			all = append(all, optionsIn(root, value)...)
		}
		all = appendOption(all, name, value)
	}
	return all[:min(len(all), maxOptions)]
}

// optionsIn are those of a file of dnsmasq's.
func optionsIn(root, path string) []string {
	f, err := openIn(root, path)
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

// openIn opens a regular file as a process with that root directory sees it. Whoever runs a
// dnsmasq names the path: a pipe would hang who opens it, a device may act.
func openIn(root, path string) (*os.File, error) {
	dir, err := unix.Open(root, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(dir)
	at, err := unix.Openat2(dir, path, &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS})
	if err != nil {
		return nil, err
	}
	defer unix.Close(at)
	var what unix.Stat_t
	if err := unix.Fstat(at, &what); err != nil {
		return nil, err
	}
	if what.Mode&unix.S_IFMT != unix.S_IFREG {
		return nil, errors.New("it is no regular file")
	}
	return os.Open(fmt.Sprintf("/proc/self/fd/%d", at))
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
