package hostsnapshot_test

import (
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/nftables"
	"github.com/stretchr/testify/require"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/nestlab/nestlab/testbed/world/cgroup"
	"github.com/nestlab/nestlab/testbed/world/hostsnapshot"
)

func TestMain(m *testing.M) {
	if code, done := hostsnapshot.Isolate(); done {
		os.Exit(code)
	}
	os.Exit(m.Run())
}

// Whatever a run could leave behind is seen, and seen to be gone.
func TestSnapshotSeesEveryKind(t *testing.T) {
	dir := t.TempDir()
	before, err := hostsnapshot.Take()
	require.NoError(t, err)

	attributes := netlink.NewLinkAttrs()
	attributes.Name = "nlt0"
	link := &netlink.Veth{LinkAttrs: attributes, PeerName: "nlt1"}
	require.NoError(t, netlink.LinkAdd(link))
	address, err := netlink.ParseAddr("192.0.2.1/24")
	require.NoError(t, err)
	require.NoError(t, netlink.AddrAdd(link, address))
	require.NoError(t, netlink.LinkSetUp(link))
	require.NoError(t, unix.Mount("tmpfs", dir, "tmpfs", 0, ""))
	groups, err := cgroup.New("nestlab-snapshot-a", regexp.MustCompile(`^nestlab-snapshot-a$`))
	require.NoError(t, err)
	nft, err := nftables.New()
	require.NoError(t, err)
	table := nft.AddTable(&nftables.Table{Family: nftables.TableFamilyIPv4, Name: "nlt"})
	nft.AddChain(&nftables.Chain{Table: table, Name: "chain"})
	require.NoError(t, nft.Flush())
	cmd := exec.Command("sleep", "60")
	require.NoError(t, cmd.Start())

	during, err := hostsnapshot.Take()
	require.NoError(t, err)
	diff := hostsnapshot.Diff(before, during)
	for _, want := range []string{
		"+ link nlt0 veth up=true", "+ address nlt0 192.0.2.1/24", "+ mount " + dir + " tmpfs",
		"/nestlab-snapshot-a", "+ nft table 2 nlt", "+ nft chain 2 nlt chain", "192.0.2.0/24", " sleep 60",
	} {
		require.True(t, slices.ContainsFunc(diff, func(l string) bool { return strings.Contains(l, want) }), "%s is not in %v", want, diff)
	}

	nft.DelTable(table)
	require.NoError(t, nft.Flush())
	require.NoError(t, cmd.Process.Kill())
	require.Error(t, cmd.Wait())
	require.NoError(t, groups.Remove())
	require.NoError(t, unix.Unmount(dir, 0))
	require.NoError(t, netlink.LinkDel(link))
	after, err := hostsnapshot.Take()
	require.NoError(t, err)
	require.Empty(t, hostsnapshot.Diff(before, after))
}

func TestDiff(t *testing.T) {
	t.Parallel()
	require.Equal(t, []string{"- a", "+ c"}, hostsnapshot.Diff([]string{"a", "b"}, []string{"b", "c"}))
	require.Empty(t, hostsnapshot.Diff([]string{"a"}, []string{"a"}))
}

// These tests are on a machine of their own.
func TestIsolated(t *testing.T) {
	t.Parallel()
	require.Equal(t, 1, os.Getpid())
	links, err := netlink.LinkList()
	require.NoError(t, err)
	for _, l := range links {
		require.NotEqual(t, "eth0", l.Attrs().Name)
	}
}
