package vm

import (
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// niceOf is a process's, by the raw system call's way of counting.
func niceOf(t *testing.T, pid int) int {
	t.Helper()
	raw, err := unix.Getpriority(unix.PRIO_PROCESS, pid)
	require.NoError(t, err)
	return 20 - raw
}

// The priority is the child's, and not that of whatever runs here next.
func TestNice(t *testing.T) {
	t.Parallel()
	p, err := start(exec.Command("sleep", "60"), 10)
	require.NoError(t, err)
	pid := p.cmd.Process.Pid
	require.Equal(t, 10, niceOf(t, pid))
	require.NoError(t, p.renice(12))
	require.Equal(t, 12, niceOf(t, pid))
	require.NoError(t, p.ended())
	other, err := start(exec.Command("sleep", "60"), 0)
	require.NoError(t, err)
	require.Zero(t, niceOf(t, other.cmd.Process.Pid))
	require.NoError(t, other.kill(time.Minute))
	require.NoError(t, p.kill(time.Minute))
	require.ErrorContains(t, p.ended(), "killed")
	require.Error(t, p.renice(0))
}

func TestStartNothing(t *testing.T) {
	t.Parallel()
	_, err := start(exec.Command("/nestlab/none"), 0)
	require.Error(t, err)
}
