package world_test

import (
	"bytes"
	"net"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/testbed/world"
	"github.com/nestlab/nestlab/testbed/world/internet"
)

// addresses are those of the namespace that in leads to.
func addresses(t *testing.T, in func(func() error) error) string {
	t.Helper()
	var all string
	require.NoError(t, in(func() error {
		found, err := net.InterfaceAddrs()
		for _, a := range found {
			all += a.String() + " "
		}
		return err
	}))
	return all
}

func TestLabIsInTheNamespaces(t *testing.T) {
	t.Parallel()
	w := inBackground(t, world.Config{})
	require.Contains(t, addresses(t, w.InRunner), world.RunnerAddress.String()+"/24")
	require.Contains(t, addresses(t, w.InInternet), internet.Gateway.String()+"/24")
	require.NotContains(t, addresses(t, w.InInternet), world.RunnerAddress.String())
}

// Changes of behavior lie one over the other, and each can be reverted alone.
func TestBehaviourComposes(t *testing.T) {
	t.Parallel()
	w := inBackground(t, world.Config{})
	fetched := func() map[string]string {
		var out bytes.Buffer
		code, err := w.Exec(t.Context(), []string{self(t), "look"}, world.Stdio{Out: &out})
		require.NoError(t, err)
		require.Zero(t, code)
		return parseView(t, out.String()).Fetched
	}
	const archive, registry = "http://archive.lab.test/", "https://registry.lab.test/v2/"
	answer := func(host string) func(*internet.Behavior) {
		return func(b *internet.Behavior) {
			b.Answers = append(b.Answers, internet.Answer{Host: host, Status: http.StatusTeapot})
		}
	}
	undoArchive, err := w.Behave(t.Context(), answer(internet.Archive))
	require.NoError(t, err)
	undoRegistry, err := w.Behave(t.Context(), answer(internet.Registry))
	require.NoError(t, err)
	both := fetched()
	require.Contains(t, both[archive], "418")
	require.Contains(t, both[registry], "418")

	require.NoError(t, undoArchive(t.Context()))
	require.NoError(t, undoArchive(t.Context()), "reverted twice")
	one := fetched()
	require.Contains(t, one[archive], "200")
	require.Contains(t, one[registry], "418")

	require.NoError(t, undoRegistry(t.Context()))
	require.Contains(t, fetched()[registry], "200")
}

func TestLabNeedsAWorld(t *testing.T) {
	t.Parallel()
	w := world.New(world.Config{})
	nothing := func() error { t.Error("called all the same"); return nil }
	require.ErrorContains(t, w.InRunner(nothing), "not running")
	require.ErrorContains(t, w.InInternet(nothing), "not running")
	_, err := w.Behave(t.Context(), func(*internet.Behavior) {})
	require.ErrorContains(t, err, "not running")
}
