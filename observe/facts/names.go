package facts

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"strings"

	"github.com/nestlab/nestlab/model"
)

// maxHosts bounds the lines of /etc/hosts that are told of.
const maxHosts = 256

// hosts reads the names that /etc/hosts gives to other machines.
func hosts(_ context.Context, f *model.Facts) error {
	file, err := os.Open("/etc/hosts")
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	own := map[string]bool{f.Hostname: true}
	lines := bufio.NewScanner(file)
	for lines.Scan() && len(f.Hosts) < maxHosts {
		text, _, _ := strings.Cut(lines.Text(), "#")
		fields := strings.Fields(text)
		if len(fields) < 2 || own[fields[1]] || strings.HasPrefix(fields[1], "ip6-") { // those of netbase
			continue
		}
		a, err := netip.ParseAddr(fields[0])
		if err == nil && !a.IsLoopback() && !a.IsMulticast() && !a.IsUnspecified() {
			f.Hosts = append(f.Hosts, model.HostsLine{Address: a.String(), Names: fields[1:]})
		}
	}
	return errors.Join(lines.Err(), file.Close())
}

// localPorts reads which ports connections get that name none.
func localPorts(_ context.Context, f *model.Facts) error {
	const path = "/proc/sys/net/ipv4/ip_local_port_range"
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var r model.PortRange
	if _, err := fmt.Sscan(string(text), &r.First, &r.Last); err != nil {
		return fmt.Errorf("read %s: %q: %w", path, text, err)
	}
	f.LocalPorts = &r
	return nil
}
