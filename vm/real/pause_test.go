//go:build e2e

package real

import (
	"bytes"
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/canonical/lxd/client"
	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/session"
	"github.com/nestlab/nestlab/vm"
	"github.com/nestlab/nestlab/vm/qapi"
)

// pausable is an environment that takes turns.
type pausable interface {
	session.Environment
	session.Pauser
}

// version has the binary say its version inside, within the time given.
func version(t *testing.T, env session.Environment, within time.Duration) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	var out, stderr bytes.Buffer
	code, err := env.Exec(ctx, session.Command{Args: []string{"--version"}, Stdout: &out, Stderr: &stderr})
	if err == nil {
		require.Zero(t, code, stderr.String())
		require.NotEmpty(t, out.String())
	}
	return err
}

// status is what QEMU, or LXD, says of an environment.
func status(t *testing.T, env pausable) string {
	t.Helper()
	q, ok := env.(*vm.QEMU)
	if !ok {
		server, err := lxd.ConnectLXDUnix(socket, nil)
		require.NoError(t, err)
		state, _, err := server.GetInstanceState(env.(*vm.Instance).Name)
		require.NoError(t, err)
		return state.Status
	}
	monitor, err := qapi.DialMonitor(t.Context(), filepath.Join(q.Dir, "monitor.sock"))
	require.NoError(t, err)
	defer monitor.Close()
	var s struct{ Status string }
	require.NoError(t, monitor.Call(t.Context(), "query-status", nil, &s))
	return s.Status
}

// What is halted does nothing, goes on where it was, and can be removed while it stands
// still. To halt it twice, or to have go on what runs, changes nothing.
func TestPause(t *testing.T) {
	dir := filepath.Join(scratch, "pause")
	guest := filepath.Join(*assets, "guest")
	image := vm.Image{Kernel: filepath.Join(guest, "vmlinuz"), Initrd: filepath.Join(guest, "initrd"), Root: guestRoot()}
	for _, env := range []pausable{
		&vm.QEMU{
			At: model.Place{Environment: model.EnvQEMUBridge}, Image: image, Bridge: vm.Bridge, Binary: *binary,
			Dir: filepath.Join(dir, "guest"), Memory: 256, CPUs: 1, Boot: boot,
			Accelerator: &vm.Accelerator{Image: image, Dir: filepath.Join(dir, "trial"), Limit: 5 * time.Second},
		},
		// A container of LXD's: its virtual machines do not run here, and take the same orders.
		&vm.Instance{
			At: model.Place{Environment: model.EnvLXDContainer}, Name: "nestlab-pause", Image: alias, Network: vm.Bridge,
			Pool: "default", Binary: *binary, Ready: boot,
			Connect: func(ctx context.Context) (vm.Server, error) { return vm.Connect(ctx, socket, time.Minute) },
		},
	} {
		t.Run(env.Place().Environment, func(t *testing.T) {
			before := snapshot(t)
			defer func() {
				require.NoError(t, env.Stop(context.WithoutCancel(t.Context())))
				requireSame(t, before)
			}()
			require.NoError(t, env.Pause(t.Context()), "it is not there yet")
			require.NoError(t, env.Start(t.Context(), func(string, time.Time, time.Duration, string) {}))
			require.NoError(t, env.Resume(t.Context()))
			require.NoError(t, version(t, env, boot))
			for range 2 {
				require.NoError(t, env.Pause(t.Context()))
				require.Regexp(t, "(?i)^(paused|frozen)$", status(t, env))
			}
			require.Error(t, version(t, env, 3*time.Second))
			require.NoError(t, env.Resume(t.Context()))
			require.Equal(t, "running", strings.ToLower(status(t, env)))
			require.NoError(t, version(t, env, boot))
			require.NoError(t, env.Pause(t.Context()))
		})
	}
}
