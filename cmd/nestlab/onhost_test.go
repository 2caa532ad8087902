package main

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"os/exec"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// What runs on a Docker's machine gets its input, and ends once nobody is there any more
// who asked for it.
func TestHold(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("the host's files are entered, which takes root")
	}
	for _, c := range []struct {
		name, input string
		args        []string
	}{
		{"without input", "", nil},
		{"with input", "go\n", []string{"--wait"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			// Where it is the first process it may enter that one's files.
			args := append([]string{"--pid", "--mount-proc", "--fork", "--kill-child", os.Args[0], "on-host", "hold", "--input", strconv.Itoa(len(c.input)), "--", "remedy", "serve", "proxy", "127.0.0.1:0"}, c.args...)
			cmd := exec.CommandContext(t.Context(), "unshare", args...)
			var said bytes.Buffer
			cmd.Env, cmd.Stderr = append(os.Environ(), asNestlab+"=1"), &said
			in, err := cmd.StdinPipe()
			require.NoError(t, err)
			out, err := cmd.StdoutPipe()
			require.NoError(t, err)
			require.NoError(t, cmd.Start())
			_, err = io.WriteString(in, c.input)
			require.NoError(t, err)
			require.True(t, bufio.NewScanner(out).Scan(), "it never began: %s", &said)
			require.NoError(t, unix.Kill(cmd.Process.Pid, 0))
			require.NoError(t, in.Close())
			_, err = io.Copy(io.Discard, out) // until nobody has it open
			require.NoError(t, err)
			require.NoError(t, cmd.Wait(), "%s", &said)
		})
	}
}
