package standin

import (
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/host/networks"
	"github.com/nestlab/nestlab/testbed/nettest"
)

// The interface of a namespace may have the index of a guest's, and a peer of the index that
// the guest's port has here: a guest is who is at the other end of the port.
func TestGuestsAreAtTheOtherEndOfAPort(t *testing.T) {
	if !nettest.Isolated(t) {
		return
	}
	ip := func(pid int, words string, more ...any) {
		t.Helper()
		out, err := exec.Command("nsenter", append([]string{"--net=/proc/" + strconv.Itoa(pid) + "/ns/net", "ip", "link", "add"}, strings.Fields(fmt.Sprintf(words, more...))...)...).CombinedOutput()
		require.NoError(t, err, "%s: %s", words, out)
	}
	// Their root is another one, as a container's is.
	process := func() int {
		cmd := exec.CommandContext(t.Context(), "/bin/sleep", "infinity")
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Chroot: "/usr", Pdeathsig: syscall.SIGKILL}
		cmd.Dir = "/"
		require.NoError(t, cmd.Start())
		t.Cleanup(func() {
			require.NoError(t, cmd.Process.Kill())
			require.Error(t, cmd.Wait())
		})
		return cmd.Process.Pid
	}
	foreigner, third, guest := process(), process(), process()
	self := syscall.Getpid()
	ip(self, "name br0 type bridge")
	ip(self, "name tap0 index 70 master br0 type veth peer name eth0 index 90 netns %d", guest)
	ip(third, "name tap0 index 70 type veth peer name eth0 index 90 netns %d", foreigner)
	// One that leads here, and not to the bridge.
	ip(self, "name other index 71 type veth peer name eth1 index 91 netns %d", foreigner)

	all, err := Guests([]networks.Network{{Bridge: "br0", Ports: []string{"tap0"}}})
	require.NoError(t, err)
	require.Len(t, all, 1, "%v", all)
	require.Equal(t, guest, all[0].PID)
	require.Equal(t, "br0", all[0].Bridge)
}
