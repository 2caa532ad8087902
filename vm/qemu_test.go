package vm_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/session"
	"github.com/nestlab/nestlab/testbed/await"
	"github.com/nestlab/nestlab/vm"
)

// guest is a QEMU environment whose QEMU is a fake in this mode.
func guest(t *testing.T, mode string) *vm.QEMU {
	t.Helper()
	image := vm.Image{Kernel: mode, Initrd: "initrd", Root: "root.img"}
	return &vm.QEMU{
		At: model.Place{Environment: model.EnvQEMUUser}, With: []string{"network"}, Image: image, Binary: "nestlab",
		Dir: filepath.Join(t.TempDir(), "guest"), Memory: 512, CPUs: 1, Boot: time.Minute,
		Accelerator: &vm.Accelerator{Image: image, Dir: filepath.Join(t.TempDir(), "trial"), Limit: 5 * time.Second},
	}
}

type timing struct{ step, note string }

func took(all *[]timing) session.Took {
	return func(step string, _ time.Time, _ time.Duration, note string) { *all = append(*all, timing{step, note}) }
}

// requireGone checks that no process of this guest and none of its files is left.
func requireGone(t *testing.T, q *vm.QEMU) {
	t.Helper()
	require.NoDirExists(t, q.Dir)
	require.Empty(t, qemus(t, q), "QEMU is still there")
}

// qemus are the processes with the guest's directory in their command line.
func qemus(t *testing.T, q *vm.QEMU) []string {
	t.Helper()
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	require.NoError(t, err)
	var found []string
	for _, f := range lines {
		// A process may be gone by now.
		if text, err := os.ReadFile(f); err == nil && strings.Contains(string(text), q.Dir) {
			found = append(found, filepath.Base(filepath.Dir(f)))
		}
	}
	return found
}

func TestQEMU(t *testing.T) {
	t.Parallel()
	q := guest(t, fakeBoots)
	var times []timing
	require.NoError(t, q.Start(t.Context(), took(&times)))
	require.Len(t, times, 1)
	require.Equal(t, model.StepStart, times[0].step)
	require.True(t, strings.HasPrefix(times[0].note, "tcg: "), times[0].note)
	var out bytes.Buffer
	code, err := q.Exec(t.Context(), session.Command{Args: []string{"probe", "--x"}, Stdin: strings.NewReader("targets"), Stdout: &out})
	require.NoError(t, err)
	require.Equal(t, 3, code)
	require.Equal(t, "probe --x|targets", out.String())
	require.NoError(t, q.Stop(t.Context()))
	requireGone(t, q)
}

// What a guest writes to its console without end is nowhere kept whole, and its end is.
func TestQEMUConsoleWithoutEnd(t *testing.T) {
	t.Parallel()
	q := guest(t, fakeLoud)
	err := q.Start(t.Context(), func(string, time.Time, time.Duration, string) {})
	require.ErrorContains(t, err, "to the log; the console's end: ")
	require.ErrorContains(t, err, "to the console | its last words")
	require.Less(t, len(err.Error()), 8<<10)
	files, err := os.ReadDir(q.Dir)
	require.NoError(t, err)
	for _, f := range files {
		info, err := f.Info()
		require.NoError(t, err)
		require.Less(t, info.Size(), int64(1<<20), f.Name())
	}
	require.NoError(t, q.Stop(t.Context()))
	requireGone(t, q)
}

// A guest that never boots is an error that shows its console.
func TestQEMUNeverBoots(t *testing.T) {
	t.Parallel()
	q := guest(t, fakeSilent)
	q.Boot = 5 * time.Second // the fake has to be up and to have printed by then
	err := q.Start(t.Context(), took(new([]timing)))
	require.ErrorContains(t, err, "no answer of the guest agent within 5s")
	require.ErrorContains(t, err, "Kernel panic")
	require.NoError(t, q.Stop(t.Context()))
	requireGone(t, q)
}

// A QEMU that ends is not waited for.
func TestQEMUDies(t *testing.T) {
	t.Parallel()
	q := guest(t, fakeDies)
	q.Boot = time.Hour
	err := q.Start(t.Context(), took(new([]timing)))
	require.ErrorContains(t, err, "QEMU ended")
	require.ErrorContains(t, err, "could not open the disk")
	require.NoError(t, q.Stop(t.Context()))
	requireGone(t, q)
}

func TestQEMULostInExec(t *testing.T) {
	t.Parallel()
	q := guest(t, fakeLost)
	require.NoError(t, q.Start(t.Context(), took(new([]timing))))
	var out bytes.Buffer
	_, err := q.Exec(t.Context(), session.Command{Args: []string{"probe"}, Stdout: &out})
	require.Equal(t, "one\ntwo\nhalf a li", out.String(), "what was printed before is lost")
	require.ErrorContains(t, err, "QEMU ended: exit status 9")
	require.ErrorContains(t, err, "out of memory")
	require.NoError(t, q.Stop(t.Context()))
	requireGone(t, q)
}

// A QEMU that does not listen any more is killed.
func TestQEMUDeaf(t *testing.T) {
	t.Parallel()
	q := guest(t, fakeDeaf)
	require.NoError(t, q.Start(t.Context(), took(new([]timing))))
	require.NoError(t, q.Stop(t.Context()))
	requireGone(t, q)
}

// An interrupt ends the wait, and Stop still leaves nothing.
func TestQEMUInterrupted(t *testing.T) {
	t.Parallel()
	q := guest(t, fakeSilent)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- q.Start(ctx, took(new([]timing))) }()
	await.True(t, func() bool { return len(qemus(t, q)) > 0 })
	cancel()
	require.ErrorIs(t, <-ended, context.Canceled)
	require.NotEmpty(t, qemus(t, q))
	require.NoError(t, q.Stop(t.Context()))
	requireGone(t, q)
}

// Killed from outside while it runs, as by the kernel when memory is short.
func TestQEMUKilled(t *testing.T) {
	t.Parallel()
	q := guest(t, fakeBoots)
	require.NoError(t, q.Start(t.Context(), took(new([]timing))))
	for _, pid := range qemus(t, q) {
		var n int
		for _, digit := range pid {
			n = 10*n + int(digit-'0')
		}
		require.NoError(t, syscall.Kill(n, syscall.SIGKILL))
	}
	_, err := q.Exec(t.Context(), session.Command{Args: []string{"probe"}})
	require.ErrorContains(t, err, "QEMU ended: signal: killed")
	require.NoError(t, q.Stop(t.Context()))
	requireGone(t, q)
}

func TestQEMUNotInstalled(t *testing.T) {
	q := guest(t, fakeBoots)
	t.Setenv("PATH", t.TempDir())
	require.ErrorContains(t, q.Start(t.Context(), took(new([]timing))), "apt-get install qemu-system-x86")
	require.NoError(t, q.Stop(t.Context()))
	requireGone(t, q)
}

func TestArguments(t *testing.T) {
	t.Parallel()
	q := &vm.QEMU{
		At: model.Place{Environment: model.EnvQEMUBridge}, Bridge: "lxdbr0", Dir: "/run/a,b", Memory: 512, CPUs: 1,
		Image: vm.Image{Kernel: "/g/vmlinuz", Initrd: "/g/initrd", Root: "/g/root,1.img"}, Binary: "/usr/bin/nestlab",
	}
	args := strings.Join(q.Arguments(vm.Acceleration{Name: vm.TCG}), " ")
	for _, want := range []string{
		"-accel tcg,thread=multi -cpu max -smp 1 -m 512", "-netdev tap,id=net,fd=3",
		"file=/g/root,,1.img,snapshot=on", "file=/usr/bin/nestlab,readonly=on",
		"unix:/run/a,,b/monitor.sock", "path=/run/a,,b/agent.sock", "-kernel /g/vmlinuz -initrd /g/initrd",
	} {
		require.Contains(t, args, want)
	}
	q.Bridge = ""
	q.At.Environment = model.EnvQEMUUser
	user := strings.Join(q.Arguments(vm.Acceleration{Name: vm.KVM}), " ")
	require.Contains(t, user, "-accel kvm -cpu host")
	require.Contains(t, user, "-netdev user,id=net")
	require.NotContains(t, user, "fd=3")
	require.NotEqual(t, address(t, args), address(t, user), "two guests, one hardware address")
}

// A machine that makes a network of its own has no NIC, but directories and a port
// for its progress.
func TestArgumentsOffline(t *testing.T) {
	t.Parallel()
	q := &vm.QEMU{
		At: model.Place{Environment: "machine"}, Dir: "/run/m", Memory: 4096, CPUs: 2, Offline: true, Progress: os.Stderr,
		Shares: []vm.Share{{Tag: "assets", Dir: "/a,b", ReadOnly: true}, {Tag: "out", Dir: "/out"}},
	}
	args := strings.Join(q.Arguments(vm.Acceleration{Name: vm.TCG}), " ")
	for _, want := range []string{
		"-fsdev local,id=share-assets,path=/a,,b,security_model=none,readonly=on -device virtio-9p-pci,fsdev=share-assets,mount_tag=assets",
		"-fsdev local,id=share-out,path=/out,security_model=none -device",
		"-chardev file,id=progress,path=/proc/self/fd/3 -device virtserialport,chardev=progress,name=nestlab.progress",
	} {
		require.Contains(t, args, want)
	}
	require.NotContains(t, args, "-netdev")
	require.NotContains(t, args, "virtio-net")
	q.Offline, q.Bridge = false, "lxdbr0"
	require.Contains(t, strings.Join(q.Arguments(vm.Acceleration{Name: vm.TCG}), " "), "path=/proc/self/fd/4", "the tap is 3")
}

func TestDirectBoot(t *testing.T) {
	t.Parallel()
	text := vm.DirectBoot(vm.Image{Kernel: "/g/vmlinuz", Initrd: "/g/initrd"})
	require.Contains(t, text, "-kernel /g/vmlinuz -initrd /g/initrd -append '")
	require.Contains(t, text, "root=/dev/sda1", "LXD's disks are SCSI")
}

func address(t *testing.T, args string) string {
	t.Helper()
	_, mac, found := strings.Cut(args, "mac=")
	require.True(t, found)
	require.Regexp(t, "^52:54:00:[0-9a-f]{2}:[0-9a-f]{2}:[0-9a-f]{2} ", mac)
	return mac[:17]
}
