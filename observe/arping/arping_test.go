package arping

import (
	"net/netip"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/observe/observetest"
	"github.com/nestlab/nestlab/testbed/nettest"
)

// Who has an address says so; nobody speaks for one that is the asker's own, or nobody's.
func TestAsk(t *testing.T) {
	t.Parallel()
	if !nettest.Isolated(t) {
		return
	}
	n := observetest.New(t)
	const within = 300 * time.Millisecond
	owners, err := Ask(observetest.Uplink, observetest.Site, within)
	require.NoError(t, err)
	require.Len(t, owners, 1)
	for _, nobody := range []netip.Addr{observetest.Outside, netip.MustParseAddr("198.51.100.99")} {
		owners, err := Ask(observetest.Uplink, nobody, within)
		require.NoError(t, err)
		require.Empty(t, owners, nobody)
	}
	n.Site.Do(t, func() {
		out, err := exec.CommandContext(t.Context(), "ip", strings.Fields("address add 198.51.100.1/32 dev eth0")...).CombinedOutput()
		require.NoError(t, err, string(out))
	})
	owners, err = Ask(observetest.Uplink, observetest.Outside, within)
	require.NoError(t, err)
	require.Len(t, owners, 1, "another machine has it too")
	_, err = Ask("none0", observetest.Site, within)
	require.Error(t, err)
}

// A frame of anybody's is read without fear.
func FuzzOwner(f *testing.F) {
	f.Add([]byte{})
	f.Add(make([]byte, 64))
	f.Fuzz(func(t *testing.T, frame []byte) {
		if mac, ok := owner(frame, observetest.Site); ok {
			require.NotEmpty(t, mac)
		}
	})
}
