package vm

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/vishvananda/netlink"

	"github.com/nestlab/nestlab/testbed/nettest"
)

func leftNames(all []Leftover) []string {
	var names []string
	for _, l := range all {
		names = append(names, l.String())
	}
	return names
}

// A run's own directory is left alone, one whose run is gone is removed, and so is
// nothing of another name.
func TestScratch(t *testing.T) {
	if !nettest.Isolated(t) { // the taps of this machine are none of a test's
		return
	}
	parent := t.TempDir()
	own, err := NewScratch(parent)
	require.NoError(t, err)
	killed, err := NewScratch(parent)
	require.NoError(t, err)
	require.NoError(t, os.MkdirAll(filepath.Join(killed.Dir, "qemu-user"), 0o755))
	require.NoError(t, killed.lock.Close(), "as when a process ends")
	for _, name := range []string{"nestlab-simulate-1", "other"} {
		require.NoError(t, os.Mkdir(filepath.Join(parent, name), 0o755))
	}
	require.NoError(t, os.Symlink("/", filepath.Join(parent, scratchPrefix+"link")))
	want := []string{"directory " + killed.Dir}
	found, err := GuestLeftovers(parent)
	require.NoError(t, err)
	require.Equal(t, want, leftNames(found))
	removed, err := SweepGuests(t.Context(), parent)
	require.NoError(t, err)
	require.Equal(t, want, leftNames(removed))
	require.NoDirExists(t, killed.Dir)
	require.DirExists(t, own.Dir)
	require.NoError(t, own.Close())
	left, err := os.ReadDir(parent)
	require.NoError(t, err)
	require.Len(t, left, 3)
}

// Of somebody else's directory nobody knows whether it is in use.
func TestScratchOfSomebodyElse(t *testing.T) {
	if !nettest.Isolated(t) {
		return
	}
	parent := t.TempDir()
	dir := filepath.Join(parent, scratchPrefix+"1")
	require.NoError(t, os.Mkdir(dir, 0o755))
	if err := os.Chown(dir, 1, 1); err != nil {
		t.Skip("it needs another user's directory:", err)
	}
	found, err := GuestLeftovers(parent)
	require.NoError(t, err)
	require.Empty(t, found)
}

// Taps that no guest uses are removed; a guest's, and what is not named as
// nestlab names its own, are not.
func TestTapsLeft(t *testing.T) {
	if !nettest.Isolated(t) {
		return
	}
	addBridge(t, "br0")
	addBridge(t, "nl-89abcdef")
	for _, name := range []string{"nl-qemu-bridge", "nl-01234567", "nl-vpn", "tap0"} {
		left := &netlink.Tuntap{LinkAttrs: netlink.LinkAttrs{Name: name}, Mode: netlink.TUNTAP_MODE_TAP}
		require.NoError(t, netlink.LinkAdd(left))
		for _, f := range left.Fds {
			require.NoError(t, f.Close())
		}
	}
	used, err := newTap("nl-fedcba98", "br0")
	require.NoError(t, err)
	removed, err := SweepGuests(t.Context(), t.TempDir())
	require.NoError(t, err)
	require.ElementsMatch(t, []string{"tap nl-qemu-bridge", "tap nl-01234567"}, leftNames(removed))
	for _, name := range []string{"nl-89abcdef", "nl-vpn", "tap0", "nl-fedcba98"} {
		_, err := netlink.LinkByName(name)
		require.NoError(t, err, name)
	}
	require.NoError(t, used.close())
}
