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

	"github.com/nestlab/nestlab/testbed/world/cgroup"
)

// Take reads the calling thread's namespaces, so it is for tests that have some
// of their own: see Isolate. Each line names its kind first;
// the lines are sorted.
func Take() ([]string, error) {
	var lines []string
	for _, part := range []struct {
		name string
		take func() ([]string, error)
	}{
		{"links", links}, {"routes", routes}, {"named network namespaces", namespaces},
		{"mounts", mounts}, {"cgroups", cgroups}, {"firewall", firewall}, {"processes", processes},
	} {
		found, err := part.take()
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

func links() ([]string, error) {
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

func routes() ([]string, error) {
	all, err := netlink.RouteList(nil, netlink.FAMILY_ALL)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, r := range all {
		out = append(out, "route "+r.String())
	}
	rules, err := netlink.RuleList(netlink.FAMILY_ALL)
	if err != nil {
		return nil, err
	}
	for _, r := range rules {
		out = append(out, fmt.Sprintf("rule family %d %s", r.Family, r))
	}
	return out, nil
}

func namespaces() ([]string, error) {
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

func mounts() ([]string, error) {
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

func cgroups() ([]string, error) {
	hierarchies, err := cgroup.Hierarchies()
	if err != nil {
		return nil, err
	}
	var out []string
	for _, h := range hierarchies {
		root, err := h.Open()
		if err != nil {
			return nil, err
		}
		out, err = appendTree(out, h.String(), filepath.Join("/proc/self/fd", strconv.Itoa(int(root.Fd()))))
		if err := errors.Join(err, root.Close()); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// appendTree tells a hierarchy's cgroups. What goes meanwhile is gone.
func appendTree(lines []string, hierarchy, root string) ([]string, error) {
	err := filepath.WalkDir(root+"/", func(path string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil && e.IsDir() {
			lines = append(lines, "cgroup "+hierarchy+" "+strings.TrimPrefix(path, root))
		}
		return err
	})
	return lines, err
}

func firewall() ([]string, error) {
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

func processes() ([]string, error) {
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
		if err != nil || len(line) == 0 { // it has ended, or is the kernel's
			continue
		}
		out = append(out, "process "+e.Name()+" "+strings.TrimSpace(strings.ReplaceAll(string(line), "\x00", " ")))
	}
	return out, nil
}
