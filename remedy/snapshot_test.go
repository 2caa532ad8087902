package remedy_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	mdlayher "github.com/mdlayher/netlink"
	"github.com/moby/sys/mountinfo"
	"github.com/stretchr/testify/require"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// snapshot is everything that a remedy could change: the kernel's rules byte for
// byte, settings, links with their addresses, policy rules, files with their mode, owner and
// time, and nestlab's processes.
func snapshot(t *testing.T) []string {
	t.Helper()
	return slices.Concat(rules(t), legacy(t), settings(t), links(t), policies(t), ways(t), files(t), servers(t), mounts(t))
}

// policies are the policy rules of routing.
func policies(t *testing.T) []string {
	t.Helper()
	all, err := netlink.RuleList(netlink.FAMILY_ALL)
	require.NoError(t, err)
	var out []string
	for _, r := range all {
		out = append(out, fmt.Sprintf("rule family %d %s", r.Family, r))
	}
	return out
}

// ways are the routes of IPv4, and the neighbours that somebody wrote down.
func ways(t *testing.T) []string {
	t.Helper()
	routes, err := netlink.RouteList(nil, netlink.FAMILY_V4)
	require.NoError(t, err)
	var out []string
	for _, r := range routes {
		out = append(out, fmt.Sprintf("route %s", r))
	}
	neighbours, err := netlink.NeighList(0, netlink.FAMILY_ALL)
	require.NoError(t, err)
	for _, n := range neighbours {
		if n.State == netlink.NUD_PERMANENT {
			out = append(out, fmt.Sprintf("neighbour %s %s link %d", n.IP, n.HardwareAddr, n.LinkIndex))
		}
	}
	slices.Sort(out)
	return out
}

// mounts are those over devices, and LXD's idea of its network.
func mounts(t *testing.T) []string {
	t.Helper()
	found, err := mountinfo.GetMounts(mountinfo.PrefixFilter(devices))
	require.NoError(t, err)
	var out []string
	for _, m := range found {
		out = append(out, fmt.Sprintf("mount %s %s", m.Mountpoint, m.Options))
	}
	lxdNetwork.Lock()
	defer lxdNetwork.Unlock()
	for _, key := range slices.Sorted(maps.Keys(lxdNetwork.config)) {
		out = append(out, fmt.Sprintf("lxd %s=%s", key, lxdNetwork.config[key]))
	}
	return out
}

// rules are the dumps of nftables, less the numbers that the kernel gives again.
func rules(t *testing.T) []string {
	t.Helper()
	conn, err := mdlayher.Dial(unix.NETLINK_NETFILTER, nil)
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close()) }()
	numbers := map[uint16][]uint16{
		unix.NFT_MSG_GETTABLE: {4}, // NFTA_TABLE_HANDLE
		unix.NFT_MSG_GETCHAIN: {unix.NFTA_CHAIN_HANDLE},
		unix.NFT_MSG_GETRULE:  {unix.NFTA_RULE_HANDLE, unix.NFTA_RULE_POSITION},
		unix.NFT_MSG_GETSET:   {16}, // NFTA_SET_HANDLE
	}
	var out []string
	for _, kind := range []uint16{unix.NFT_MSG_GETTABLE, unix.NFT_MSG_GETCHAIN, unix.NFT_MSG_GETRULE, unix.NFT_MSG_GETSET} {
		all, err := conn.Execute(mdlayher.Message{
			Header: mdlayher.Header{Type: mdlayher.HeaderType(unix.NFNL_SUBSYS_NFTABLES<<8 | kind), Flags: mdlayher.Request | mdlayher.Dump},
			Data:   []byte{unix.AF_UNSPEC, unix.NFNETLINK_V0, 0, 0},
		})
		require.NoError(t, err)
		for _, m := range all {
			attributes, err := mdlayher.UnmarshalAttributes(m.Data[4:])
			require.NoError(t, err)
			line := fmt.Sprintf("nftables %d family %d", kind, m.Data[0])
			for _, a := range attributes {
				if !slices.Contains(numbers[kind], a.Type) {
					line += fmt.Sprintf(" %d=%q", a.Type, a.Data)
				}
			}
			out = append(out, line)
		}
	}
	return out
}

// legacy are the rules of the other rule set, where it is in use.
func legacy(t *testing.T) []string {
	t.Helper()
	var out []string
	for _, program := range []string{"iptables", "ip6tables"} {
		names, err := os.ReadFile("/proc/net/" + strings.Replace(program, "tables", "_tables", 1) + "_names")
		if errors.Is(err, fs.ErrNotExist) || len(bytes.TrimSpace(names)) == 0 {
			continue
		}
		require.NoError(t, err)
		text, err := exec.Command(program+"-legacy-save", "-c").Output()
		require.NoError(t, err)
		for line := range strings.Lines(string(text)) {
			if strings.HasPrefix(line, ":") { // what policies counted is the tests' own traffic
				line, _, _ = strings.Cut(line, " [")
			}
			if !strings.HasPrefix(line, "#") {
				out = append(out, "legacy "+line)
			}
		}
	}
	return out
}

func settings(t *testing.T) []string {
	t.Helper()
	var out []string
	for _, pattern := range []string{"net/ipv4/ip_forward", "net/ipv4/conf/*/*", "net/ipv6/conf/*/*", "net/bridge/*", "net/netfilter/*timeout*"} {
		paths, err := filepath.Glob("/proc/sys/" + pattern)
		require.NoError(t, err)
		for _, p := range paths {
			text, err := os.ReadFile(p)
			if err != nil { // some cannot be read before they are set
				text = []byte(err.Error())
			}
			out = append(out, p+"="+string(text))
		}
	}
	return out
}

func links(t *testing.T) []string {
	t.Helper()
	all, err := netlink.LinkList()
	require.NoError(t, err)
	var out []string
	for _, l := range all {
		out = append(out, fmt.Sprintf("link %s mtu %d arp %t", l.Attrs().Name, l.Attrs().MTU, l.Attrs().RawFlags&unix.IFF_NOARP == 0))
		addresses, err := netlink.AddrList(l, netlink.FAMILY_ALL)
		require.NoError(t, err)
		var lines []string
		for _, a := range addresses {
			// Whether it was found unique by asking (NODAD) is no property of the address in use.
			lines = append(lines, fmt.Sprintf("address %s %s scope %d valid %d preferred %d", l.Attrs().Name, a.IPNet, a.Scope, a.ValidLft, a.PreferedLft))
		}
		slices.Sort(lines)
		out = append(out, lines...)
	}
	return out
}

func files(t *testing.T) []string {
	t.Helper()
	var out []string
	for _, dir := range append(slices.Clone(covered), devices) {
		require.NoError(t, filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() {
				return err
			}
			info, err := e.Info()
			require.NoError(t, err)
			owner := info.Sys().(*syscall.Stat_t)
			line := fmt.Sprintf("file %s %s %d:%d", path, info.Mode(), owner.Uid, owner.Gid)
			switch {
			case info.Mode()&fs.ModeSymlink != 0:
				to, err := os.Readlink(path)
				require.NoError(t, err)
				line += " to " + to
			case info.Mode().IsRegular():
				text, err := os.ReadFile(path)
				require.NoError(t, err)
				line += fmt.Sprintf(" %s %q", info.ModTime(), text)
			}
			out = append(out, line)
			return nil
		}))
	}
	return out
}

// servers are the processes that remedies run.
func servers(t *testing.T) []string {
	t.Helper()
	all, err := filepath.Glob("/proc/[0-9]*/cmdline")
	require.NoError(t, err)
	var out []string
	for _, p := range all {
		text, err := os.ReadFile(p)
		if err == nil && bytes.Contains(text, []byte("remedy\x00serve")) {
			out = append(out, "process "+strings.ReplaceAll(string(text), "\x00", " "))
		}
	}
	return out
}
