package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// What flags do is readable in 80 columns, which is what there is where nothing is known.
func TestFlagsFitTheTerminal(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"simulate", "probe", "report"} {
		out, _, err := executed(t, newRootCommand(), name, "--help")
		require.NoError(t, err)
		_, flags, found := strings.Cut(out, "\nFlags:\n")
		require.True(t, found)
		for line := range strings.Lines(flags) {
			require.LessOrEqual(t, len(line), 81+len("docker-forward-drop"), "%s: %s", name, line) // names of faults are not broken
		}
	}
}

// Wrong use is told from what went wrong, at every depth.
func TestWrongUse(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"dance"}, `unknown command "dance": nestlab has`},
		{[]string{"vm", "dance"}, `unknown command "dance": nestlab vm has gc, run`},
		{[]string{"remedy", "dance", "--help=false"}, `unknown command "dance": nestlab remedy has`},
		{[]string{"vm", "run", "dance"}, `"dance"`},
		{[]string{"vm", "run", "--dance"}, "unknown flag: --dance"},
		{[]string{"--dance"}, "unknown flag: --dance"},
		{[]string{"testbed", "run"}, "requires at least 1 arg"},
		{[]string{"world", "run"}, "requires at least 1 arg"}, // its former name
	} {
		t.Run(fmt.Sprint(c.args), func(t *testing.T) {
			t.Parallel()
			_, _, err := executed(t, newRootCommand(), c.args...)
			require.ErrorContains(t, err, c.want)
			require.Equal(t, exitUsage, exitCode(err))
		})
	}
	out, _, err := executed(t, newRootCommand(), "version")
	require.NoError(t, err)
	require.Equal(t, "nestlab version "+version+"\n", out)
	for _, args := range [][]string{{}, {"vm"}, {"vm", "run", "--help"}} {
		out, _, err := executed(t, newRootCommand(), args...)
		require.NoError(t, err)
		require.Contains(t, out, "Usage:")
	}
}

func TestInterruptedCode(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	wrong := usageError(errors.New("wrong"))
	require.Equal(t, exitUsage, interruptedCode(ctx, wrong))
	cancel(interrupted{syscall.SIGINT})
	require.Equal(t, 130, interruptedCode(ctx, wrong))
	require.EqualError(t, context.Cause(ctx), "interrupted by SIGINT")
	require.ErrorIs(t, context.Cause(ctx), context.Canceled)
}
