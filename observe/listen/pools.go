package listen

import (
	"bufio"
	"encoding/json"
	"io"
	"net/netip"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/nestlab/nestlab/observe/inroot"
)

// Pool is one range of addresses that dnsmasq gives out.
type Pool struct {
	First netip.Addr `json:"first"`
	Last  netip.Addr `json:"last"`
	// Leased have a lease that has not run out, Reserved are kept for known guests, and Taken
	// are one or both. What could not be read is not counted.
	Leased   int `json:"leased"`
	Reserved int `json:"reserved"`
	Taken    int `json:"taken"`
}

// Bounds of what is read of leases, and of the ranges that are told.
const (
	maxLeases = 1 << 20
	maxPools  = 16
)

// leaseFiles are where dnsmasq keeps its leases unless it is told another file.
var leaseFiles = []string{"/var/lib/misc/dnsmasq.leases", "/var/lib/dnsmasq/dnsmasq.leases"}

// poolsOf are the ranges of dnsmasq's options, with what is taken of each.
func poolsOf(root string, all []option, now time.Time) []Pool {
	reserved, leased := map[netip.Addr]bool{}, map[netip.Addr]bool{}
	files, conf, device, kept := leaseFiles, "", "", true
	var pools []Pool
	for _, o := range all {
		switch o.name {
		case "dhcp-range":
			if p, ok := poolOf(o.value); ok && len(pools) < maxPools {
				pools = append(pools, p)
			}
		case "dhcp-host":
			reserve(o.value, reserved)
		case "dhcp-hostsfile":
			eachLine(root, o.value, func(text string) { reserve(text, reserved) })
		case "dhcp-leasefile":
			files = []string{o.value}
		case "leasefile-ro":
			kept = false
		case "conf-file":
			conf = o.value
		case "interface":
			device = o.value
		}
	}
	if len(pools) == 0 {
		return nil
	}
	for _, file := range files {
		if kept {
			eachLine(root, file, func(text string) { lease(text, now, leased) })
		}
	}
	if !kept && conf != "" && device != "" && !strings.Contains(device, "/") {
		statusOf(root, path.Join(path.Dir(conf), device+".status"), now, leased)
	}
	for i := range pools {
		pools[i].count(leased, reserved)
	}
	return pools
}

// poolOf is the range of a value such as set:a,192.0.2.10,192.0.2.99,1h.
func poolOf(value string) (Pool, bool) {
	var ends []netip.Addr
	for word := range strings.SplitSeq(value, ",") {
		a, err := netip.ParseAddr(strings.TrimSpace(word))
		if err != nil || !a.Is4() {
			if len(ends) > 0 {
				break // the end is right behind the start; what comes later is a netmask
			}
			continue
		}
		if ends = append(ends, a); len(ends) == 2 {
			break
		}
	}
	if len(ends) != 2 || ends[1].Less(ends[0]) {
		return Pool{}, false
	}
	return Pool{First: ends[0], Last: ends[1]}, true
}

func (p *Pool) count(leased, reserved map[netip.Addr]bool) {
	in := func(a netip.Addr) bool { return !a.Less(p.First) && !p.Last.Less(a) }
	for a := range leased {
		if in(a) {
			p.Leased++
			p.Taken++
		}
	}
	for a := range reserved {
		if in(a) {
			p.Reserved++
			if !leased[a] {
				p.Taken++
			}
		}
	}
}

// reserve notes the address of a value of dhcp-host, which has others in no order.
func reserve(value string, all map[netip.Addr]bool) {
	for word := range strings.SplitSeq(value, ",") {
		if a, err := netip.ParseAddr(strings.TrimSpace(word)); err == nil && a.Is4() && len(all) < maxLeases {
			all[a] = true
		}
	}
}

// lease notes the address of a line of dnsmasq's leases: when it runs out (0 for never), the
// hardware address, the address.
func lease(text string, now time.Time, all map[netip.Addr]bool) {
	words := strings.Fields(text)
	if len(words) < 3 {
		return
	}
	until, err := strconv.ParseInt(words[0], 10, 64)
	a, none := netip.ParseAddr(words[2])
	if err == nil && none == nil && a.Is4() && (until == 0 || until > now.Unix()) {
		all[a] = true
	}
}

// statusOf notes the leases of libvirt, whose dnsmasq keeps none itself.
func statusOf(root, file string, now time.Time, all map[netip.Addr]bool) {
	f, err := inroot.Open(root, file)
	if err != nil {
		return
	}
	defer f.Close()
	var leases []struct {
		Address string `json:"ip-address"`
		Until   int64  `json:"expiry-time"`
	}
	if json.NewDecoder(io.LimitReader(f, maxLeases)).Decode(&leases) != nil {
		return
	}
	for _, l := range leases {
		if a, err := netip.ParseAddr(l.Address); err == nil && a.Is4() && (l.Until == 0 || l.Until > now.Unix()) {
			all[a] = true
		}
	}
}

// eachLine reads a file of dnsmasq's; one that cannot be read has none.
func eachLine(root, file string, take func(string)) {
	f, err := inroot.Open(root, file)
	if err != nil {
		return
	}
	defer f.Close()
	for lines := bufio.NewScanner(io.LimitReader(f, maxLeases)); lines.Scan(); {
		text, _, _ := strings.Cut(lines.Text(), "#")
		take(text)
	}
}
