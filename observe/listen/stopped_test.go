package listen_test

import (
	"net"
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/nestlab/nestlab/observe/listen"
	"github.com/nestlab/nestlab/testbed/nettest"
)

// A process that a signal has stopped is told from one that goes on, whatever its name.
func TestStoppedProcesses(t *testing.T) {
	t.Parallel()
	if !nettest.Isolated(t) {
		return
	}
	name := t.TempDir() + "/a) T (b"
	sleep, err := exec.LookPath("sleep")
	require.NoError(t, err)
	require.NoError(t, os.Symlink(sleep, name))
	nettest.Wire(t)
	p, err := net.ListenPacket("udp4", "127.0.0.1:53")
	require.NoError(t, err)
	socket, err := p.(*net.UDPConn).File()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), name, "infinity")
	cmd.ExtraFiles = []*os.File{socket}
	require.NoError(t, cmd.Start())
	require.NoError(t, socket.Close())
	require.NoError(t, p.Close())
	t.Cleanup(func() {
		require.NoError(t, cmd.Process.Kill())
		require.Error(t, cmd.Wait())
	})
	stopped := func() bool {
		r, err := listen.Read(listen.DNS)
		require.NoError(t, err)
		require.Len(t, r.Sockets, 1)
		require.Len(t, r.Sockets[0].Processes, 1)
		require.Equal(t, cmd.Process.Pid, r.Sockets[0].Processes[0].PID)
		return r.Sockets[0].Processes[0].Stopped
	}
	require.False(t, stopped())
	require.NoError(t, cmd.Process.Signal(unix.SIGSTOP))
	var status unix.WaitStatus
	_, err = unix.Wait4(cmd.Process.Pid, &status, unix.WUNTRACED, nil)
	require.NoError(t, err)
	require.True(t, stopped())
}
