// Package hostsnapshot takes down what a run could leave behind on a machine:
// links, addresses, routes, named network namespaces, mounts, cgroups, firewall
// rules and processes. Tests compare what it says before and after.
package hostsnapshot

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/google/nftables"
	"github.com/moby/sys/mountinfo"
	"github.com/vishvananda/netlink"
)

// Options narrow a snapshot down, on a machine where other things happen too.
type Options struct {
	// CgroupPrefix leaves out the top-level cgroups whose names do not begin so;
	// what is below the others is all taken. Empty leaves none out.
	CgroupPrefix string
	// Process leaves out the processes whose command line (its arguments, joined
	// by blanks) does not contain it. Empty leaves out all of them.
	Process string
}

// Take reads the calling thread's namespaces. Each line names its kind first;
// the lines are sorted.
func Take(o Options) ([]string, error) {
	var lines []string
	for _, part := range []struct {
		name string
		take func(Options) ([]string, error)
	}{
		{"links", links}, {"routes", routes}, {"named network namespaces", namespaces},
		{"mounts", mounts}, {"cgroups", cgroups}, {"firewall", firewall}, {"processes", processes},
	} {
		found, err := part.take(o)
		if err != nil {
			return nil, fmt.Errorf("take a snapshot of the %s: %w", part.name, err)
		}
		lines = append(lines, found...)
	}
	slices.Sort(lines)
	return lines, nil
}

// Diff lists what only one of two snapshots has: "-" before what is gone and
// "+" before what is new.
func Diff(before, after []string) []string {
	var out []string
	for _, l := range before {
		if !slices.Contains(after, l) {
			out = append(out, "- "+l)
		}
	}
	for _, l := range after {
		if !slices.Contains(before, l) {
			out = append(out, "+ "+l)
		}
	}
	return out
}

func links(Options) ([]string, error) {
	all, err := netlink.LinkList()
	if err != nil {
		return nil, err
	}
	var out []string
	for _, l := range all {
		a := l.Attrs()
		out = append(out, fmt.Sprintf("link %s %s up=%t", a.Name, l.Type(), strings.Contains(a.Flags.String(), "up")))
		addresses, err := netlink.AddrList(l, netlink.FAMILY_ALL)
		if err != nil {
			return nil, fmt.Errorf("addresses of %s: %w", a.Name, err)
		}
		for _, address := range addresses {
			out = append(out, fmt.Sprintf("address %s %s", a.Name, address.IPNet))
		}
	}
	return out, nil
}

func routes(Options) ([]string, error) {
	all, err := netlink.RouteList(nil, netlink.FAMILY_ALL)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, r := range all {
		out = append(out, "route "+r.String())
	}
	return out, nil
}

func namespaces(Options) ([]string, error) {
	entries, err := os.ReadDir("/run/netns")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var out []string
	for _, e := range entries {
		out = append(out, "netns "+e.Name())
	}
	return out, err
}

func mounts(Options) ([]string, error) {
	all, err := mountinfo.GetMounts(nil)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, m := range all {
		out = append(out, fmt.Sprintf("mount %s %s %s", m.Mountpoint, m.FSType, m.Options))
	}
	return out, nil
}

func cgroups(o Options) ([]string, error) {
	all, err := mountinfo.GetMounts(mountinfo.FSTypeFilter("cgroup", "cgroup2"))
	if err != nil {
		return nil, err
	}
	var out []string
	for _, m := range all {
		top, err := os.ReadDir(m.Mountpoint)
		if err != nil {
			return nil, err
		}
		for _, e := range top {
			if !e.IsDir() || !strings.HasPrefix(e.Name(), o.CgroupPrefix) {
				continue
			}
			if out, err = appendTree(out, filepath.Join(m.Mountpoint, e.Name())); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

// appendTree tells a cgroup and those below it. What goes meanwhile is gone.
func appendTree(lines []string, dir string) ([]string, error) {
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil && e.IsDir() {
			lines = append(lines, "cgroup "+path)
		}
		return err
	})
	return lines, err
}

func firewall(Options) ([]string, error) {
	c, err := nftables.New()
	if err != nil {
		return nil, err
	}
	tables, err := c.ListTables()
	if err != nil {
		return nil, err
	}
	var out []string
	for _, t := range tables {
		out = append(out, fmt.Sprintf("nft table %d %s", t.Family, t.Name))
	}
	chains, err := c.ListChains()
	if err != nil {
		return nil, err
	}
	for _, chain := range chains {
		policy := "none"
		if chain.Policy != nil {
			policy = strconv.Itoa(int(*chain.Policy))
		}
		rules, err := c.GetRules(chain.Table, chain)
		if err != nil {
			return nil, fmt.Errorf("rules of chain %s: %w", chain.Name, err)
		}
		out = append(out, fmt.Sprintf("nft chain %d %s %s policy=%s rules=%d", chain.Table.Family, chain.Table.Name, chain.Name, policy, len(rules)))
	}
	return out, nil
}

func processes(o Options) ([]string, error) {
	if o.Process == "" {
		return nil, nil
	}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	var out []string
	for _, e := range entries {
		if _, err := strconv.Atoi(e.Name()); err != nil {
			continue
		}
		line, err := os.ReadFile(filepath.Join("/proc", e.Name(), "cmdline"))
		if err != nil { // it has ended
			continue
		}
		text := strings.TrimSpace(strings.ReplaceAll(string(line), "\x00", " "))
		if strings.Contains(text, o.Process) {
			out = append(out, "process "+e.Name()+" "+text)
		}
	}
	return out, nil
}
