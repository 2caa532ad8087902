package main

import (
	"bufio"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/testbed/nettest"
)

// A doctor that watches tells when something breaks and when it is well again, and leaves the
// host as it is when it is interrupted.
func TestDoctorWatches(t *testing.T) {
	t.Parallel()
	if !nettest.Isolated(t) {
		return
	}
	h := newTestHost(t)
	before := h.state()
	cmd := h.doctor("--watch", "--interval", "1s", "--bridge", docker)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	lines := bufio.NewScanner(out)
	until := func(says string) {
		t.Helper()
		for lines.Scan() {
			if strings.Contains(lines.Text(), says) {
				return
			}
		}
		require.Fail(t, "it ended", "before it said %q: %v", says, lines.Err())
	}
	until("It took ")
	for _, c := range []struct{ policy, says string }{{"DROP", "(firewall-forward-drop, proven)"}, {"ACCEPT", "Healthy"}} {
		h.run("iptables-nft", "-P", "FORWARD", c.policy)
		until("something has changed")
		until(c.says)
		until("It took ")
	}
	require.NoError(t, cmd.Process.Signal(os.Interrupt))
	require.NoError(t, cmd.Wait())
	h.nft("delete table ip filter")
	require.Empty(t, differ(before, h.state()))
	require.Empty(t, h.left())
}
