package owner_test

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/owner"
	"github.com/nestlab/nestlab/testbed/await"
)

func self(t *testing.T) owner.Owner {
	t.Helper()
	o, err := owner.Self("a run.of_mine")
	require.NoError(t, err)
	return o
}

func TestLife(t *testing.T) {
	t.Parallel()
	me := self(t)
	require.Equal(t, owner.Lives, me.Life())
	require.False(t, me.Over(true))

	reused := me
	reused.Started--
	require.Equal(t, owner.Ended, reused.Life(), "another process has the number now")
	require.True(t, reused.Over(false))

	none := me
	none.PID = 1 << 30
	require.Equal(t, owner.Ended, none.Life())

	rebooted := me
	rebooted.Boot = "earlier"
	require.Equal(t, owner.OtherBoot, rebooted.Life())
	require.True(t, rebooted.Over(true))
	require.False(t, rebooted.Over(false), "it may be another machine's, and live")
	rebooted.Since = time.Now().Add(-2 * owner.Longest)
	require.True(t, rebooted.Over(false))
}

// A process that has ended is gone before its parent has asked how.
func TestLifeOfAZombie(t *testing.T) {
	t.Parallel()
	cmd := exec.Command("cat")
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	o := self(t)
	o.PID = cmd.Process.Pid
	o.Started, err = owner.Started(o.PID)
	require.NoError(t, err)
	require.Equal(t, owner.Lives, o.Life())
	require.NoError(t, in.Close())
	await.True(t, func() bool { return o.Life() == owner.Ended })
	require.NoError(t, cmd.Wait())
}

// A run in a container has another number here, and is seen all the same; in there nothing
// is seen of this one.
func TestLifeInAnotherPIDNamespace(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("it takes root to make a pid namespace")
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestLifeSeenFromWithin$")
	cmd.Env = append(os.Environ(), "OWNER="+self(t).Text())
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS}
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	var life owner.Life
	var text string
	_, err = fmt.Fscanf(out, "%d %s\n", &life, &text)
	require.NoError(t, err)
	require.Equal(t, owner.Unseen, life)
	inside, err := owner.Parse(text)
	require.NoError(t, err)
	require.Equal(t, 1, inside.PID)
	require.Equal(t, owner.Lives, inside.Life())
	require.False(t, inside.Over(true))
	require.NoError(t, in.Close())
	require.NoError(t, cmd.Wait())
	require.NotEqual(t, owner.Lives, inside.Life())
}

func TestLifeSeenFromWithin(t *testing.T) {
	text := os.Getenv("OWNER")
	if text == "" {
		t.Skip("it is run in a pid namespace of its own")
	}
	require.NoError(t, syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""))
	require.NoError(t, syscall.Mount("proc", "/proc", "proc", 0, ""))
	o, err := owner.Parse(text)
	require.NoError(t, err)
	fmt.Printf("%d %s\n", o.Life(), self(t).Text())
	_, err = io.Copy(io.Discard, os.Stdin)
	require.NoError(t, err)
}

func TestText(t *testing.T) {
	t.Parallel()
	me := self(t)
	read, err := owner.Parse(me.Text())
	require.NoError(t, err)
	require.Equal(t, "a-run-of-mine", read.Run)
	require.True(t, read.Same(me))
	require.Equal(t, me.Since, read.Since)
	for _, text := range []string{"", "lxd-vm", "a_b_c_d_e_f", me.Text() + "_"} {
		_, err := owner.Parse(text)
		require.ErrorContains(t, err, "read whose run it is", text)
	}
}
