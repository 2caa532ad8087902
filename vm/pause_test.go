package vm_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"

	"github.com/canonical/lxd/client"
	"github.com/canonical/lxd/shared/api"
	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/vm"
	"github.com/nestlab/nestlab/vm/qapi"
)

// stateLXD has one instance, in a state that it can be told to change, and fails the
// first orders.
type stateLXD struct {
	fakeLXD
	fails  int
	orders []string
}

func (f *stateLXD) UpdateInstanceState(_ string, state api.InstanceStatePut, _ string) (lxd.Operation, error) {
	f.orders = append(f.orders, state.Action)
	if f.fails > 0 {
		f.fails--
		return nil, errors.New("LXD is busy")
	}
	f.instances[0].StatusCode = map[string]api.StatusCode{"freeze": api.Frozen, "unfreeze": api.Running}[state.Action]
	return done{}, nil
}

// Only what runs is halted, and only what is halted goes on; a busy LXD is asked again.
func TestInstancePause(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name          string
		state         api.StatusCode
		fails         int
		pause, resume []string
		says          string
	}{
		{name: "runs", state: api.Running, pause: []string{"freeze"}, resume: []string{"unfreeze"}},
		{name: "halted", state: api.Frozen, resume: []string{"unfreeze"}},
		{name: "stopped", state: api.Stopped},
		{name: "busy", state: api.Running, fails: 2, pause: []string{"freeze", "freeze", "freeze"}, resume: []string{"unfreeze"}},
		{name: "too busy", state: api.Running, fails: 3, pause: []string{"freeze", "freeze", "freeze"}, says: "freeze the LXD instance nestlab-lxd-vm: LXD is busy"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := &stateLXD{fails: c.fails}
			i := instance(&f.fakeLXD)
			i.Connect = func(context.Context) (vm.Server, error) { return f, nil }
			require.NoError(t, i.Pause(t.Context()), "it is not there yet")
			require.ErrorIs(t, i.Start(t.Context(), took(new([]timing))), errFull)
			require.NoError(t, i.Pause(t.Context()), "it was not made")
			f.instances = []api.Instance{{Name: i.Name, StatusCode: c.state}}
			err := i.Pause(t.Context())
			require.Equal(t, c.pause, f.orders)
			if c.says != "" {
				require.ErrorContains(t, err, c.says)
				return
			}
			require.NoError(t, err)
			f.orders = nil
			require.NoError(t, i.Resume(t.Context()))
			require.Equal(t, c.resume, f.orders)
		})
	}
}

// A container shares its host's processors.
func TestPausable(t *testing.T) {
	t.Parallel()
	i := instance(&fakeLXD{})
	require.False(t, i.Pausable())
	i.VM = true
	require.True(t, i.Pausable())
	require.True(t, new(vm.QEMU).Pausable())
}

func TestQEMUPause(t *testing.T) {
	t.Parallel()
	q := guest(t, fakeBoots)
	require.NoError(t, q.Pause(t.Context()), "it is not there yet")
	require.NoError(t, q.Start(t.Context(), took(new([]timing))))
	state := func() string {
		monitor, err := qapi.DialMonitor(t.Context(), filepath.Join(q.Dir, "monitor.sock"))
		require.NoError(t, err)
		defer monitor.Close()
		var s struct{ Status string }
		require.NoError(t, monitor.Call(t.Context(), "query-status", nil, &s))
		return s.Status
	}
	for range 2 {
		require.NoError(t, q.Pause(t.Context()))
		require.Equal(t, "paused", state())
	}
	require.NoError(t, q.Resume(t.Context()))
	require.Equal(t, "running", state())
	require.NoError(t, q.Stop(t.Context()))
	requireGone(t, q)
	require.NoError(t, q.Resume(t.Context()), "it has ended")
}
