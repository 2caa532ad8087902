package observetest_test

import (
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/observe/observetest"
	"github.com/nestlab/nestlab/testbed/nettest"
)

func TestNetwork(t *testing.T) {
	t.Parallel()
	if !nettest.Isolated(t) {
		return
	}
	n := observetest.New(t)
	require.NotEqual(t, n.Guest.Inode(t), n.Router.Inode(t))
	require.ErrorIs(t, n.Site.Dial(t, "udp", observetest.Guest, 7, time.Second), syscall.ECONNREFUSED, "the way back")
	require.ErrorIs(t, n.Site.Dial(t, "udp", observetest.Guest6, 7, time.Second), syscall.ECONNREFUSED)
	n.Guest.Set(t, "net/ipv4/ip_forward", "0")
	require.ErrorIs(t, n.Guest.Dial(t, "tcp", observetest.Site, 1, time.Second), syscall.ECONNREFUSED, "the guest's own sysctl")
	n.Router.Set(t, "net/ipv4/ip_forward", "0")
	require.Error(t, n.Guest.Dial(t, "tcp", observetest.Site, 1, 100*time.Millisecond), "nothing forwards")
}
