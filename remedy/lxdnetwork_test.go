package remedy_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// LXD takes a change back where its own former DHCP server is in the way: it is
// made again, and so is the way back.
func TestLXDThatIsInItsOwnWay(t *testing.T) {
	c := testCase{name: "bridge-subnet", parameters: of("bridge="+bridge, "address=10.99.0.1/24", "socket="+lxdSocket)}
	h, before := c.prepare(t)
	lxdNetwork.refuses = 2
	require.NoError(t, h.Apply(t.Context(), c.remedy()))
	require.Equal(t, "10.99.0.1/24", lxdNetwork.config["ipv4.address"])
	lxdNetwork.refuses = 1
	require.NoError(t, h.Revert(t.Context(), c.remedy()))
	same(t, h, before, "reverted")
}
