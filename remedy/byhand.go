package remedy

import (
	"context"
	"fmt"
	"math"
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
	set := func(to string) []string { return []string{shellLine("sysctl", "-w", s.Path+"="+to)} }
	return set(s.After), set(s.Before), nil
}

// commands give the addresses back; the kernel takes them by itself. What has to be
// found unique before it is used was so when it was first given.
func (a *addresses) commands(context.Context) (change, back []string, err error) {
	for _, x := range a.Addresses {
		words := []string{"-6", "address", "replace", x.CIDR, "dev", a.Name, "nodad"}
		if x.Flags&unix.IFA_F_PERMANENT == 0 && x.Valid > 0 && int64(x.Valid) < math.MaxUint32 {
			words = append(words, "valid_lft", strconv.Itoa(x.Valid), "preferred_lft", strconv.Itoa(x.Preferred))
		}
		back = append(back, shellLine("ip", words...))
	}
	return nil, back, nil
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
	line := shellLine("nestlab", p.Args...)
	return []string{line + " &"}, []string{fmt.Sprintf("pkill -xf %s", catalogue.Quote("nestlab "+strings.Join(p.Args, " ")))}, nil
}
