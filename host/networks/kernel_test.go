package networks

import (
	"net/netip"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/testbed/nettest"
)

// A bridge of Docker's without an address is to have one in the network that its containers
// are of, whoever can be asked; nobody knows that of a bridge of nobody's.
func TestLostAddress(t *testing.T) {
	if !nettest.Isolated(t) {
		return
	}
	container := exec.CommandContext(t.Context(), "sleep", "infinity")
	container.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	require.NoError(t, container.Start())
	t.Cleanup(func() {
		require.NoError(t, container.Process.Kill())
		require.Error(t, container.Wait())
	})
	pid := strconv.Itoa(container.Process.Pid)
	ip := func(words string) {
		t.Helper()
		out, err := exec.Command("ip", strings.Fields(words)...).CombinedOutput()
		require.NoError(t, err, "ip %s: %s", words, out)
	}
	for i, bridge := range []string{"br0", "docker0"} {
		nic, address := "eth"+strconv.Itoa(i), "172."+strconv.Itoa(16+i)+".0.2/24"
		ip("link add name " + bridge + " type bridge")
		ip("link add name tap" + strconv.Itoa(i) + " master " + bridge + " type veth peer name " + nic + " netns " + pid)
		out, err := exec.Command("nsenter", "--net=/proc/"+pid+"/ns/net", "ip", "address", "add", address, "dev", nic).CombinedOutput()
		require.NoError(t, err, "%s", out)
	}
	ip("link set docker0 type bridge forward_delay 1500 stp_state 1")
	find := func() map[string]Network {
		t.Helper()
		all, unasked, err := Find(t.Context(), Options{Root: t.TempDir(), Docker: "unix:///no/such/socket"})
		require.NoError(t, err)
		require.Empty(t, unasked)
		found := map[string]Network{}
		for _, n := range all {
			found[n.Bridge] = n
		}
		return found
	}
	found := find()
	lost, is := found["docker0"].Lost()
	require.True(t, is)
	require.Equal(t, netip.MustParsePrefix("172.17.0.1/24"), lost)
	require.Equal(t, 30*time.Second, found["docker0"].PortDelay)
	_, is = found["br0"].Lost()
	require.False(t, is)
	require.Zero(t, found["br0"].PortDelay)
	ip("address add 172.17.0.1/24 dev docker0")
	_, is = find()["docker0"].Lost()
	require.False(t, is)
}
