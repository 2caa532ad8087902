package vm

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/session"
	"github.com/nestlab/nestlab/vm/qapi"
)

// QEMU is an environment in a virtual machine that QEMU runs: on a tap of a
// bridge, or behind QEMU's own user-mode network. Commands go in by the guest
// agent, over a virtio-serial port; the one binary comes on a disk.
type QEMU struct {
	At    model.Place
	With  []string
	Image Image
	// Bridge is the one that the guest's tap is put on; empty for a user-mode network.
	Bridge string
	// NIC is QEMU's model of the network card; empty is virtio-net-pci. NoOffloads
	// takes from a virtio-net-pci card what it leaves to the host.
	NIC        string
	NoOffloads bool
	// Tap names the guest's tap on the bridge, nl- and up to 12 characters more;
	// empty is made from the environment.
	Tap string
	// Tuning is changed in the guest before its network is waited for; nil for nothing.
	Tuning *Tuning
	// Args are further arguments of the probing in a round; nil for none.
	Args func(round string) []string
	// Binary is the path of the one binary on this machine.
	Binary string
	// Dir holds the guest's sockets and logs; it is removed at the end.
	Dir string
	// Memory is in MiB.
	Memory, CPUs int
	Accelerator  *Accelerator
	// Boot bounds the wait for the guest agent.
	Boot time.Duration
	// Patience is how many times longer than usual its network may take; 0 is 1.
	Patience int
	// Offline leaves out the NIC, for a machine that makes a network of its own.
	Offline bool
	// Shares are directories of this machine that the guest can mount, by 9p.
	Shares []Share
	// Progress takes what the guest writes to its port ProgressPort; nil for no
	// such port. It is the caller's to close.
	Progress *os.File

	process *process
}

// Share is a directory under the name that the guest mounts it by.
type Share struct {
	Tag, Dir string
	ReadOnly bool
}

// ProgressPort is the name of a virtio-serial port: /dev/virtio-ports/NAME in the guest.
const ProgressPort = "nestlab.progress"

// bootNiceness is an emulated guest's until its agent answers: it takes a whole
// processor to boot, and must not slow down what is measured meanwhile.
const bootNiceness = 19

// Place implements session.Environment.
func (q *QEMU) Place() model.Place { return q.At }

// Suites implements session.Environment.
func (q *QEMU) Suites() []string { return q.With }

// ProbeArguments implements session.Argued.
func (q *QEMU) ProbeArguments(round string) []string {
	if q.Args == nil {
		return nil
	}
	return q.Args(round)
}

// Start implements session.Environment.
func (q *QEMU) Start(ctx context.Context, took session.Took) error {
	acceleration := q.Accelerator.Find(ctx)
	begin := time.Now()
	// A killed run's logs would speak for this guest.
	if err := errors.Join(os.RemoveAll(q.Dir), os.MkdirAll(q.Dir, 0o755)); err != nil {
		return fmt.Errorf("make the directory of %s: %w", q.At, err)
	}
	if err := q.launch(acceleration); err != nil {
		return err
	}
	if err := q.boot(ctx); err != nil {
		return q.explain(err)
	}
	note := acceleration.String()
	// Before its network is looked at: that of a starved guest is late.
	if err := q.process.renice(0); err != nil {
		note += "; it is probed at a low priority: " + err.Error()
	}
	unmet, err := q.await(ctx)
	if err != nil {
		return q.explain(err)
	}
	if len(unmet) > 0 {
		note += "; " + lacks(unmet)
	}
	took(model.StepStart, begin, time.Since(begin), note)
	return nil
}

// Restart implements session.Restarter: a machine with a fresh disk takes the
// place of this one.
func (q *QEMU) Restart(ctx context.Context) error {
	if err := q.Stop(ctx); err != nil {
		return err
	}
	return q.Start(ctx, func(string, time.Time, time.Duration, string) {})
}

// launch starts QEMU with its NIC.
func (q *QEMU) launch(a Acceleration) (err error) {
	var files []*os.File
	if q.Bridge != "" {
		t, failed := newTap(cmp.Or(q.Tap, tapPrefix+q.At.Environment), q.Bridge)
		if failed != nil {
			return failed
		}
		// QEMU has its own by then: the tap goes when QEMU does.
		defer func() { err = errors.Join(err, t.close()) }()
		files = append(files, t.file)
	}
	if q.Progress != nil {
		files = append(files, q.Progress)
	}
	nice := 0
	if a.Name == TCG {
		nice = bootNiceness
	}
	// QEMU keeps what the guest writes to its disks there.
	if q.process, err = startQEMU(q.Arguments(a), files, nice, "TMPDIR="+q.Dir); err != nil {
		return fmt.Errorf("start %s for %s: %w; `apt-get install qemu-system-x86` brings it on Debian and Ubuntu", qemuBinary, q.At, err)
	}
	return nil
}

var errQEMUEnded = errors.New("QEMU ended")

// alive is a context that ends with QEMU.
func (q *QEMU) alive(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	go func() {
		select {
		case <-q.process.done:
			cancel(fmt.Errorf("%w: %w", errQEMUEnded, q.process.ended()))
		case <-ctx.Done():
		}
	}()
	return ctx, func() { cancel(nil) }
}

// explain adds what QEMU and the console have to say to an error.
func (q *QEMU) explain(err error) error {
	return fmt.Errorf("%s: %w; QEMU's log: %s; the console's end: %s", q.At, err,
		lastWords(q.process.log), lastWords(q.process.console))
}

// Stop implements session.Environment. The guest has nothing worth a shutdown:
// its disk is thrown away.
func (q *QEMU) Stop(ctx context.Context) error {
	if q.process != nil && q.process.ended() == nil {
		if err := q.quit(ctx); err != nil {
			if killed := q.process.kill(time.Minute); killed != nil {
				return errors.Join(err, killed)
			}
		}
	}
	if err := os.RemoveAll(q.Dir); err != nil {
		return fmt.Errorf("remove the files of %s: %w", q.At, err)
	}
	return nil
}

// Pausable implements session.Pauser.
func (q *QEMU) Pausable() bool { return true }

// Pause implements session.Pauser: the machine's processors stand still, and with them
// its clock.
func (q *QEMU) Pause(ctx context.Context) error { return q.order(ctx, "stop") }

// Resume implements session.Pauser.
func (q *QEMU) Resume(ctx context.Context) error { return q.order(ctx, "cont") }

// order gives QEMU a command without arguments; one that has ended gets none.
func (q *QEMU) order(ctx context.Context, command string) (err error) {
	if q.process == nil || q.process.ended() != nil {
		return nil
	}
	monitor, err := qapi.DialMonitor(ctx, filepath.Join(q.Dir, monitorName))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, monitor.Close()) }()
	return monitor.Call(ctx, command, nil, nil)
}

// quit asks QEMU to end and waits for it.
func (q *QEMU) quit(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, 5*time.Second, errors.New("QEMU did not quit"))
	defer cancel()
	if err := q.order(ctx, "quit"); err != nil {
		return err
	}
	select {
	case <-q.process.done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
