package nettest

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// PingSockets allows every group of this namespace to open ICMP sockets without
// CAP_NET_RAW, or none.
func PingSockets(t *testing.T, allowed bool) {
	t.Helper()
	groups := "1 0"
	if allowed {
		groups = "0 2147483647"
	}
	require.NoError(t, os.WriteFile("/proc/sys/net/ipv4/ping_group_range", []byte(groups), 0o644))
}
