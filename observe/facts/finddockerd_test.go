package facts

import (
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestWhichDockerdIsRead: of several that are called so, the one that has the socket.
func TestWhichDockerdIsRead(t *testing.T) {
	t.Parallel()
	stranger := namesake{pid: 10, uid: 1001, known: true, sockets: []string{"7"}}
	rootless := namesake{pid: 20, uid: 1000, known: true, sockets: []string{"6"}}
	rootful := namesake{pid: 30, known: true, sockets: []string{"5", "7"}}
	hidden, hiddenUser := namesake{pid: 40}, namesake{pid: 50, uid: 1000}
	for title, c := range map[string]struct {
		all    []namesake
		owner  uint32
		inodes []string
		want   int
		holds  bool
	}{
		"nobody": {}, "a stranger, whatever it has": {all: []namesake{stranger}, inodes: []string{"7"}},
		"root's":                            {all: []namesake{stranger, rootless, rootful}, inodes: []string{"7"}, want: 30, holds: true},
		"a user's":                          {all: []namesake{rootful, rootless}, owner: 1000, inodes: []string{"6"}, want: 20, holds: true},
		"root's, though the file was given": {all: []namesake{rootless, rootful}, owner: 1000, inodes: []string{"7"}, want: 30, holds: true},
		"one with another socket":           {all: []namesake{rootful}, inodes: []string{"9"}},
		"root's without a socket":           {all: []namesake{stranger, rootless, rootful}, want: 30},
		"hidden":                            {all: []namesake{stranger, hidden}, inodes: []string{"7"}, want: 40},
		"hidden, and the owner's":           {all: []namesake{hidden, hiddenUser}, owner: 1000, inodes: []string{"7"}, want: 50},
	} {
		pid, holds := choose(c.all, c.owner, c.inodes)
		require.Equal(t, c.want, pid, title)
		require.Equal(t, c.holds, holds, title)
	}
}

func TestUidOf(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]struct {
		uid uint32
		one bool
	}{
		"Name:\tx\nUid:\t0\t0\t0\t0\n": {0, true}, "Uid:\t1000\t1000\t1000\t1000\n": {1000, true},
		"Uid:\t1000\t0\t0\t0\n": {}, "Uid:\t0\n": {}, "Uid:\tx\tx\tx\tx\n": {}, "": {},
	} {
		uid, one := uidOf([]byte(text))
		require.Equal(t, want.one, one, text)
		require.Equal(t, want.uid, uid, text)
	}
}

// TestWhoHasASocketOpen finds it by its path, whatever links lead to it.
func TestWhoHasASocketOpen(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "nl")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	path, link := filepath.Join(dir, "d.sock"), filepath.Join(dir, "l")
	require.Empty(t, inodes(path))
	l, err := net.Listen("unix", path)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.Close()) })
	require.NoError(t, os.Symlink(dir, link))
	all := inodes(filepath.Join(link, "d.sock"))
	require.Len(t, all, 1)
	mine, known := socketsOf("/proc/self")
	require.True(t, known)
	require.Contains(t, mine, all[0])
	require.EqualValues(t, os.Getuid(), owner(path))
}
