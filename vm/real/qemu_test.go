//go:build e2e

package real

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/report"
	"github.com/nestlab/nestlab/session"
	"github.com/nestlab/nestlab/vm"
)

// guestRole makes the test binary a program that probes a QEMU guest.
const guestRole = "guest"

// boot is many times what a guest takes on a machine where nothing else runs.
const boot = 10 * time.Minute

// guestConfig is what it is told.
type guestConfig struct {
	Out, Dir, Root, Bridge string
}

// guestMain probes one guest and writes a run.
func guestMain(ctx context.Context, args []string) error {
	var c guestConfig
	if err := json.Unmarshal([]byte(args[0]), &c); err != nil {
		return err
	}
	guest := filepath.Join("/opt/nestlab", "guest")
	image := vm.Image{Kernel: filepath.Join(guest, "vmlinuz"), Initrd: filepath.Join(guest, "initrd"), Root: c.Root}
	env := &vm.QEMU{
		At: model.Place{Environment: model.EnvQEMUBridge}, With: []string{"network"}, Image: image, Bridge: c.Bridge,
		Binary: "/usr/local/bin/nestlab", Dir: filepath.Join(c.Dir, "guest"), Memory: 256, CPUs: 1, Boot: boot,
		Accelerator: &vm.Accelerator{Image: image, Dir: filepath.Join(c.Dir, "trial"), Limit: 5 * time.Second},
	}
	s := &session.Session{
		Lanes: [][]session.Environment{{env}}, Targets: []byte(targets), Platform: "simulated",
		ProbeTimeout: time.Minute, Progress: os.Stderr,
	}
	return s.Write(ctx, c.Out, model.Plan{Command: "vm", Items: session.Items(s.Lanes)}, "test", nil)
}

// guest is a run of guestMain.
type guest struct {
	*started
	dir string
}

func startGuest(t *testing.T, root string) guest {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	base := filepath.Join(scratch, "guest-"+strconv.FormatInt(time.Now().UnixNano(), 10))
	c := guestConfig{Out: filepath.Join(base, "out"), Dir: filepath.Join(base, "dir"), Root: root, Bridge: vm.Bridge}
	text, err := json.Marshal(c)
	require.NoError(t, err)
	s := &started{out: c.Out, begun: time.Now()}
	s.cmd = exec.Command(self, guestRole, string(text))
	s.cmd.Stderr = &s.stderr
	require.NoError(t, s.cmd.Start())
	s.killed(t, func() { gcGuests(t) })
	return guest{s, c.Dir}
}

func guestRoot() string { return filepath.Join(*assets, "guest", "root.img") }

// qemus are the processes of QEMU.
func qemus(t *testing.T) []int {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	require.NoError(t, err)
	var found []int
	for _, f := range files {
		if text, err := os.ReadFile(f); err == nil && strings.HasPrefix(string(text), "qemu-system") {
			pid, err := strconv.Atoi(filepath.Base(filepath.Dir(f)))
			require.NoError(t, err)
			found = append(found, pid)
		}
	}
	return found
}

// A guest that is killed while it is probed takes nothing along that was observed.
func TestGuestKilledWhileProbed(t *testing.T) {
	before := snapshot(t)
	g := startGuest(t, guestRoot())
	g.until(t, func() bool { return len(results(g.journal(t))) >= 3 })
	pids := qemus(t)
	require.Len(t, pids, 1)
	require.NoError(t, syscall.Kill(pids[0], syscall.SIGKILL))
	require.Zero(t, g.wait(t), g.stderr.String())
	run := g.run(t)
	var passed, facts int
	for _, r := range run.Results {
		if r.Outcome == model.Pass {
			passed++
		}
	}
	facts = len(run.Facts)
	require.GreaterOrEqual(t, passed, 3)
	require.Equal(t, 1, facts)
	last := lost(t, run)
	require.Contains(t, last.Detail.Message, "QEMU ended: signal: killed")
	t.Logf("%d results were kept: %s", len(run.Results)-1, last.Detail.Message)
	requireSame(t, before)
}

// Interrupted or killed, a run with a guest leaves no QEMU, no tap, no mount.
func TestGuestLeavesNothing(t *testing.T) {
	before := snapshot(t)
	for i := range max(2, *points/2) {
		signal := os.Interrupt
		if i%2 == 1 {
			signal = os.Kill
		}
		at := moment(15 * time.Second)
		g := startGuest(t, guestRoot())
		time.Sleep(at)
		if err := g.cmd.Process.Signal(signal); !errors.Is(err, os.ErrProcessDone) {
			require.NoError(t, err)
		}
		g.wait(t)
		t.Logf("%s after %.1f s", signal, at.Seconds())
		requireSame(t, before, fmt.Sprintf("%s after %s\n%s", signal, at, &g.stderr))
		if signal == os.Interrupt {
			require.NoDirExists(t, filepath.Join(g.dir, "guest"))
		}
	}
}

// A guest that never boots says what its console had to say.
func TestGuestNeverBoots(t *testing.T) {
	before := snapshot(t)
	garbage := filepath.Join(scratch, "garbage.img")
	out, err := exec.Command("cp", guestRoot(), garbage).CombinedOutput()
	require.NoError(t, err, string(out))
	// The qcow2 header stays, what is in it does not.
	f, err := os.OpenFile(garbage, os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = f.WriteAt(make([]byte, 32<<20), 1<<18)
	require.NoError(t, errors.Join(err, f.Close()))
	g := startGuest(t, garbage)
	require.Zero(t, g.wait(t), g.stderr.String())
	f, err = os.Open(filepath.Join(g.out, "run.json"))
	require.NoError(t, err)
	defer f.Close()
	run, err := report.Decode(io.Reader(f))
	require.NoError(t, err)
	require.Len(t, run.Results, 1)
	require.Equal(t, model.NotStarted, run.Results[0].Reason)
	t.Log(run.Results[0].Detail.Message)
	require.Contains(t, run.Results[0].Detail.Message, "the console's end: nestlab: the disk /dev/vda shows no partition /dev/vda1 after 20 s")
	requireSame(t, before)
}
