package remedy

import (
	"context"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/nestlab/nestlab/remedy/catalogue"
)

func (l *linkMTU) commands(context.Context) (change, back []string, err error) {
	set := func(mtu int) []string {
		return []string{shellLine("ip", "link", "set", "dev", l.Name, "mtu", strconv.Itoa(mtu))}
	}
	return set(l.After), set(l.Before), nil
}

func (s *setting) commands(context.Context) (change, back []string, err error) {
	if s.After == "" { // it follows another one
		return nil, nil, nil
	}
	set := func(to string) []string { return []string{shellLine("sysctl", "-w", s.Path+"="+to)} }
	return set(s.After), set(s.Before), nil
}

// commands give the addresses back; the kernel takes them by itself. What has to be
// found unique before it is used was so when it was first given.
func (a *addresses) commands(context.Context) (change, back []string, err error) {
	for _, x := range a.Addresses {
		if x.Valid == 0 { // it ends this second
			continue
		}
		words := []string{"-6", "address", "replace", x.CIDR, "dev", a.Name, "nodad"}
		if x.Flags&unix.IFA_F_NOPREFIXROUTE != 0 {
			words = append(words, "noprefixroute")
		}
		if x.Flags&unix.IFA_F_MANAGETEMPADDR != 0 {
			words = append(words, "mngtmpaddr")
		}
		if valid, preferred := lifetime(x.Valid), lifetime(x.Preferred); valid != forever || preferred != forever {
			words = append(words, "valid_lft", valid, "preferred_lft", preferred)
		}
		back = append(back, shellLine("ip", words...))
	}
	return nil, back, nil
}

const forever = "forever"

// lifetime is an address's as ip reads it: seconds, of which the kernel's largest
// number has no end.
func lifetime(seconds int) string {
	if int64(seconds) >= math.MaxUint32 {
		return forever
	}
	return strconv.Itoa(seconds)
}

func (l *lxdSetting) commands(context.Context) (change, back []string, err error) {
	set := func(to string) []string {
		return []string{shellLine("lxc", "network", "set", l.Network, l.Key, to)}
	}
	if l.Before == "" {
		return set(l.After), []string{shellLine("lxc", "network", "unset", l.Network, l.Key)}, nil
	}
	return set(l.After), set(l.Before), nil
}

// commands find the process by its whole command line: whoever ends it need not
// have noted its number.
func (p *process) commands(context.Context) (change, back []string, err error) {
	line := strings.Join(append([]string{"nestlab"}, p.Args...), " ")
	return []string{shellLine("nestlab", p.Args...) + " &"},
		[]string{fmt.Sprintf("pkill -xf %s", catalogue.Quote("(.*/)?"+regexp.QuoteMeta(line)))}, nil
}
