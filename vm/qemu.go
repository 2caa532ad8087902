package vm

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
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

	process *process
}

// bootNiceness is an emulated guest's until it is ready: it takes a whole
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
	unmet, err := q.await(ctx)
	if err != nil {
		return q.explain(err)
	}
	note := acceleration.String()
	if len(unmet) > 0 {
		note += "; " + lacks(unmet)
	}
	if err := q.process.renice(0); err != nil {
		note += "; it is probed at a low priority: " + err.Error()
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
	log, err := os.Create(filepath.Join(q.Dir, logName))
	if err != nil {
		return fmt.Errorf("make the log of %s: %w", q.At, err)
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	cmd := exec.Command(qemuBinary, q.Arguments(a)...)
	cmd.Stdout, cmd.Stderr = log, log
	// QEMU keeps what the guest writes to its disks there.
	cmd.Env = append(os.Environ(), "TMPDIR="+q.Dir)
	if q.Bridge != "" {
		t, failed := newTap(cmp.Or(q.Tap, tapPrefix+q.At.Environment), q.Bridge)
		if failed != nil {
			return failed
		}
		// QEMU has its own by then: the tap goes when QEMU does.
		defer func() { err = errors.Join(err, t.close()) }()
		cmd.ExtraFiles = []*os.File{t.file}
	}
	nice := 0
	if a.Name == TCG {
		nice = bootNiceness
	}
	if q.process, err = start(cmd, nice); err != nil {
		return fmt.Errorf("start %s for %s: %w; Debian's package is qemu-system-x86", qemuBinary, q.At, err)
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

func (q *QEMU) await(ctx context.Context) ([]Unmet, error) {
	ctx, cancel := q.alive(ctx)
	defer cancel()
	agent := Requirement{
		Description: "answer of the guest agent", Within: q.Boot, Check: q.ping, Fatal: true,
		Hint: "the guest did not boot; look at its console",
	}
	unmet, err := Await(ctx, []Requirement{agent})
	if err != nil {
		return unmet, err
	}
	if q.Tuning != nil {
		if err := q.tune(ctx); err != nil {
			return unmet, err
		}
	}
	return Await(ctx, networked(q.look))
}

func (q *QEMU) tune(ctx context.Context) error {
	e, err := q.run(ctx, nil, q.Tuning.Arguments()...)
	if err == nil && e.Code != 0 {
		err = fmt.Errorf("nestlab %v ended with %d: %s", q.Tuning.Arguments(), e.Code, e.Stderr)
	}
	return err
}

// ping is one try to reach the agent. A guest that is still booting never
// answers what was sent to it before its agent was there.
func (q *QEMU) ping(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, time.Second, errors.New("it does not answer"))
	defer cancel()
	agent, err := qapi.DialAgent(ctx, filepath.Join(q.Dir, agentName))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, agent.Close()) }()
	return agent.Ping(ctx)
}

func (q *QEMU) look(ctx context.Context) (Sight, error) {
	var s Sight
	e, err := q.run(ctx, nil, "vm", "look")
	if err != nil {
		return s, err
	}
	if e.Code != 0 {
		return s, fmt.Errorf("nestlab vm look ended with %d: %s", e.Code, e.Stderr)
	}
	if err := json.Unmarshal(e.Stdout, &s); err != nil {
		return s, fmt.Errorf("nestlab vm look printed %.200q: %w", e.Stdout, err)
	}
	return s, nil
}

// run runs nestlab in the guest.
func (q *QEMU) run(ctx context.Context, stdin []byte, args ...string) (_ qapi.Ended, err error) {
	agent, err := qapi.DialAgent(ctx, filepath.Join(q.Dir, agentName))
	if err != nil {
		return qapi.Ended{}, err
	}
	defer func() { err = errors.Join(err, agent.Close()) }()
	return agent.Exec(ctx, qapi.Process{
		Path: binaryPath, Args: args, Stdin: stdin,
		Env: []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root"},
	})
}

// explain adds what QEMU and the console have to say to an error.
func (q *QEMU) explain(err error) error {
	return fmt.Errorf("%s: %w; QEMU's log: %s; the console's end: %s", q.At, err,
		tail(filepath.Join(q.Dir, logName)), tail(filepath.Join(q.Dir, consoleName)))
}

// Exec implements session.Environment. What the command prints on standard output
// comes as it is printed, so that a guest that dies takes nothing of it along; the
// rest comes when it has ended.
func (q *QEMU) Exec(ctx context.Context, c session.Command) (int, error) {
	var stdin []byte
	if c.Stdin != nil {
		var err error
		if stdin, err = io.ReadAll(c.Stdin); err != nil {
			return -1, fmt.Errorf("read the input for nestlab in %s: %w", q.At, err)
		}
	}
	ctx, cancel := q.alive(ctx)
	defer cancel()
	out, err := listen(ctx, filepath.Join(q.Dir, streamName), orDiscard(c.Stdout))
	if err != nil {
		return -1, q.explain(q.ending(ctx, err))
	}
	e, err := q.run(ctx, stdin, out.sendArgs(c.Args)...)
	rest := out.close(err != nil)
	if err != nil {
		// That its output ended early goes without saying.
		return -1, q.explain(q.ending(ctx, err))
	}
	if rest != nil {
		return -1, q.explain(fmt.Errorf("read what nestlab printed: %w: %s", rest, e.Stderr))
	}
	if _, err := orDiscard(c.Stderr).Write(e.Stderr); err != nil {
		return -1, fmt.Errorf("hand over what nestlab printed in %s: %w", q.At, err)
	}
	return e.Code, nil
}

// ending adds QEMU's end to an error that it explains: that shows as a closed
// socket before it shows as an ended process.
func (q *QEMU) ending(ctx context.Context, err error) error {
	select {
	case <-q.process.done:
		return fmt.Errorf("%w: %w: %w", errQEMUEnded, q.process.ended(), err)
	case <-time.After(time.Second):
	case <-ctx.Done():
	}
	return err
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

// quit asks QEMU to end and waits for it.
func (q *QEMU) quit(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, 5*time.Second, errors.New("QEMU did not quit"))
	defer cancel()
	monitor, err := qapi.DialMonitor(ctx, filepath.Join(q.Dir, monitorName))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, monitor.Close()) }()
	if err := monitor.Call(ctx, "quit", nil, nil); err != nil {
		return err
	}
	select {
	case <-q.process.done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
