package simulate

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/report"
	"github.com/nestlab/nestlab/session"
	"github.com/nestlab/nestlab/spec"
	"github.com/nestlab/nestlab/tail"
	"github.com/nestlab/nestlab/vm"
)

const (
	// A machine has MachineMemory MiB for a comparison, and scenarioMemory more for each
	// scenario in a virtual machine of LXD's: of five machines in 4096 two were lost.
	MachineMemory, scenarioMemory = 4096, 768
	machineCPUs                   = 2
	// machineBoot bounds the wait for the machine's agent, which answers after 15 s
	// under emulation on an idle machine.
	machineBoot = 5 * time.Minute
	// machineSilence is how long the machine may say nothing before it is taken for
	// hanging. Its session, and the start of the daemons before that, say every minute
	// what they wait for, however long that takes; what is before them says less.
	machineSilence = 20 * time.Minute
	// What the machine has where.
	machineOut, machineState = "/out", "/var/lib/nestlab-simulate"
	machineAssets            = "/opt/nestlab"
)

// emulated carries the simulation out in a machine of its own: the same command in
// there, whose results come out through a shared directory as they are written.
func emulated(ctx context.Context, c Config, stderr io.Writer) error {
	if err := session.Prepare(c.Out); err != nil {
		return err
	}
	plan, err := c.Request.Plan()
	if err != nil {
		return err
	}
	err = InMachine(ctx, c, c.Request, MachineMemory+scenarioMemory*virtualMachines(plan), stderr)
	if err != nil {
		err = errors.Join(err, salvage(c.Out, err))
	}
	return err
}

// InMachine carries a request out in a machine of its own, with so much MiB of memory and
// the results in c.Out. It gets the request as it is.
func InMachine(ctx context.Context, c Config, r spec.Request, memory int, stderr io.Writer) (err error) {
	text, err := spec.Encode(r)
	if err != nil {
		return err
	}
	if c.binary, err = os.Executable(); err != nil {
		return fmt.Errorf("find this binary: %w", err)
	}
	if err := os.MkdirAll(c.Out, 0o755); err != nil {
		return fmt.Errorf("make the directory for the results: %w", err)
	}
	read, write, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("make a pipe for the machine's progress: %w", err)
	}
	m := c.machine(memory, write)
	begun := time.Now()
	say := func(format string, args ...any) {
		fmt.Fprintf(stderr, "[%6.1fs] emulated runner: %s\n", time.Since(begun).Seconds(), fmt.Sprintf(format, args...))
	}
	defer func() {
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		defer cancel()
		err = errors.Join(err, m.Stop(stop))
	}()
	say("booting, %d processors and %d MiB", machineCPUs, m.Memory)
	err = m.Start(ctx, func(step string, _ time.Time, d time.Duration, note string) {
		say("%s took %.1f s (%s)", step, d.Seconds(), note)
	})
	// The machine has its own end of it.
	if err := errors.Join(err, write.Close()); err != nil {
		return errors.Join(fmt.Errorf("boot the emulated runner: %w", err), read.Close())
	}
	ctx, watching := watch(ctx, read, stderr, c.wait(machineSilence))
	defer func() { err = errors.Join(err, watching()) }()
	printed := tail.New(model.MaxMessage)
	code, err := m.Exec(ctx, session.Command{
		Args: append([]string{string(r.Command())}, machineFlags()...), Stdin: bytes.NewReader(text), Stdout: printed, Stderr: printed,
	})
	switch {
	case err != nil:
		return errors.Join(context.Cause(ctx), err)
	case code != 0:
		return fmt.Errorf("nestlab %s ended with %d in the emulated runner: %s", r.Command(), code, printed)
	}
	say("done")
	return nil
}

// machineFlags tell nestlab in the machine where things are there. It reads the request
// from its standard input.
func machineFlags() []string {
	return []string{
		"--spec", "-", "--in-machine", "--assets", machineAssets, "--out", machineOut, "--state", machineState,
		"--progress", "/dev/virtio-ports/" + vm.ProgressPort,
	}
}

func (c Config) machine(memory int, progress *os.File) *vm.QEMU {
	image := vm.Image{
		Kernel: filepath.Join(c.Machine, "vmlinuz"), Initrd: filepath.Join(c.Machine, "initrd"), Root: filepath.Join(c.Machine, "root.img"),
	}
	return &vm.QEMU{
		At: model.Place{Environment: "emulated-runner"}, Image: image, Binary: c.binary,
		Dir: filepath.Join(c.State, "machine"), Memory: memory, CPUs: machineCPUs, Boot: c.wait(machineBoot),
		Accelerator: &vm.Accelerator{Image: image, Dir: filepath.Join(c.State, "kvm-trial"), Limit: c.wait(kvmTrial)},
		Offline:     true, Progress: progress,
		Shares: []vm.Share{{Tag: "assets", Dir: c.Assets, ReadOnly: true}, {Tag: "out", Dir: c.Out}},
	}
}

// virtualMachines is how many scenarios a plan has in LXD's virtual machines.
func virtualMachines(plan model.Plan) (n int) {
	for _, row := range plan.Items {
		if row.Skip == "" && row.Scenario != "" && row.Environment == model.EnvLXDVM {
			n++
		}
	}
	return n
}

// watch passes the machine's progress on, and ends the context when there was
// none for as long as silence. The function it returns closes the progress and
// ends the watching.
func watch(ctx context.Context, progress io.ReadCloser, to io.Writer, silence time.Duration) (context.Context, func() error) {
	ctx, cancel := context.WithCancelCause(ctx)
	hangs := time.AfterFunc(silence, func() {
		cancel(fmt.Errorf("the emulated runner has said nothing for %s: it hangs", silence))
	})
	done := make(chan struct{})
	go func() {
		defer close(done)
		// It ends when the machine is gone: whoever waits for that says why.
		if _, err := io.Copy(noticed{&report.LineWriter{To: to}, func() { hangs.Reset(silence) }}, progress); err != nil && ctx.Err() == nil {
			cancel(fmt.Errorf("pass on the emulated runner's progress: %w", err))
		}
	}()
	return ctx, func() error {
		hangs.Stop()
		cancel(nil)
		err := progress.Close()
		<-done
		return err
	}
}

// noticed calls a function at each write.
type noticed struct {
	io.Writer
	notice func()
}

func (n noticed) Write(p []byte) (int, error) {
	n.notice()
	return n.Writer.Write(p)
}

// salvage makes a run of the journal of a machine that did not get as far as
// writing one.
func salvage(dir string, why error) error {
	if _, err := os.Stat(filepath.Join(dir, model.RunFile)); err == nil {
		return nil
	}
	return session.Rebuild(dir, why)
}
