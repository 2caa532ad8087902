package world_test

import (
	"bytes"
	"context"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/testbed/await"
	"github.com/nestlab/nestlab/testbed/world"
)

// background is a world that runs until the test has looked at it.
type background struct {
	*world.World
	end func() (int, error)
}

// inBackground starts a world whose command sleeps.
func inBackground(t *testing.T, c world.Config) background {
	t.Helper()
	ctx, cancel := context.WithCancel(await.Context(t))
	if c.State == "" {
		c.State = t.TempDir()
	}
	type end struct {
		code int
		err  error
	}
	w := world.New(c)
	ended := make(chan end, 1)
	go func() {
		code, err := w.Run(ctx, []string{"sleep", "infinity"}, world.Stdio{})
		ended <- end{code, err}
	}()
	b := background{World: w, end: func() (int, error) { cancel(); e := <-ended; return e.code, e.err }}
	b.end = sync.OnceValues(b.end)
	t.Cleanup(func() { b.end() }) //nolint:errcheck // whoever wants it has asked
	select {
	case <-w.Ready():
	case e := <-ended:
		ended <- e
		require.NoError(t, e.err)
		t.Fatal("the world ended before it was ready")
	}
	return b
}

func TestExecIsInTheRunner(t *testing.T) {
	t.Parallel()
	w := inBackground(t, world.Config{})
	var first, second bytes.Buffer
	for _, out := range []*bytes.Buffer{&first, &second} {
		code, err := w.Exec(t.Context(), []string{self(t), "look"}, world.Stdio{Out: out})
		require.NoError(t, err)
		require.Zero(t, code)
	}
	one, two := parseView(t, first.String()), parseView(t, second.String())
	own := view{}
	require.NoError(t, own.seeNamespaces())
	require.Equal(t, one.Namespaces, two.Namespaces)
	for kind, namespace := range one.Namespaces {
		require.NotEqual(t, own.Namespaces[kind], namespace, kind)
	}
	require.Equal(t, "runner", one.Hostname)
	require.Contains(t, one.Init, "sleep infinity")
	for _, line := range strings.Split(one.Cgroups, "\n") {
		require.Contains(t, []string{"/", "/init"}, line[strings.LastIndex(line, ":")+1:], "it is in the runner's cgroups")
	}

	code, err := w.Exec(t.Context(), []string{"sh", "-c", "exit 5"}, world.Stdio{})
	require.NoError(t, err)
	require.Equal(t, 5, code)
	_, err = w.Exec(t.Context(), []string{"no-such-command"}, world.Stdio{})
	require.ErrorContains(t, err, "no-such-command")
	_, err = w.Exec(t.Context(), nil, world.Stdio{})
	require.ErrorContains(t, err, "no command")

	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, err = w.Exec(ctx, []string{"sleep", "infinity"}, world.Stdio{})
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

func TestExecNeedsARunner(t *testing.T) {
	t.Parallel()
	w := world.New(world.Config{})
	_, err := w.Exec(t.Context(), []string{"true"}, world.Stdio{})
	require.ErrorContains(t, err, "not running")
	b := inBackground(t, world.Config{})
	_, err = b.end()
	require.ErrorIs(t, err, context.Canceled)
	_, err = b.Exec(t.Context(), []string{"true"}, world.Stdio{})
	require.ErrorContains(t, err, "not running")
}

// Worlds do not see each other.
func TestWorldsStandBesideEachOther(t *testing.T) {
	t.Parallel()
	state := t.TempDir()
	worlds := []background{inBackground(t, world.Config{State: state}), inBackground(t, world.Config{State: state})}
	var seen []map[string]string
	for _, w := range worlds {
		var out bytes.Buffer
		code, err := w.Exec(t.Context(), []string{self(t), "look"}, world.Stdio{Out: &out})
		require.NoError(t, err)
		require.Zero(t, code)
		v := parseView(t, out.String())
		require.Contains(t, v.Fetched["http://archive.lab.test/"], "200")
		seen = append(seen, v.Namespaces)
	}
	for kind := range maps.Keys(seen[0]) {
		require.NotEqual(t, seen[0][kind], seen[1][kind], kind)
	}
	entries, err := os.ReadDir(state)
	require.NoError(t, err)
	require.Len(t, slices.Collect(maps.Keys(seen[0])), 6)
	require.Len(t, entries, 2, "each has its own state")
}
