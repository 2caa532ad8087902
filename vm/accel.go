package vm

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/nestlab/nestlab/vm/qapi"
)

// The accelerators of QEMU that nestlab uses.
const (
	KVM = "kvm"
	TCG = "tcg"
)

// Acceleration is how guests run here.
type Acceleration struct {
	// Name is KVM or TCG, the emulation.
	Name string
	// Why says why it is not KVM; empty where it is.
	Why string
}

// String is for the note beside a guest's start.
func (a Acceleration) String() string {
	if a.Why == "" {
		return a.Name
	}
	return fmt.Sprintf("%s: %s", a.Name, a.Why)
}

// Accelerator finds out, once for a run, whether guests run under KVM here: a
// /dev/kvm that can be opened may still run no kernel.
type Accelerator struct {
	// Image is the kernel that is tried, Dir a directory for the trial's files.
	Image Image
	Dir   string
	// Limit is how long the kernel may take to get to its first process.
	Limit time.Duration
	// Device is opened first; empty is /dev/kvm, the one that QEMU uses.
	Device string

	once  sync.Once
	found Acceleration
}

// Find opens /dev/kvm and boots a kernel with it that powers itself off. What
// does not do that is emulation's.
func (a *Accelerator) Find(ctx context.Context) Acceleration {
	a.once.Do(func() {
		a.found = Acceleration{Name: KVM}
		if err := a.prove(ctx); err != nil {
			a.found = Acceleration{Name: TCG, Why: err.Error()}
		}
	})
	return a.found
}

// proven is what the trial's kernel prints when it got to its first process.
const proven = "nestlab: the kernel runs"

func (a *Accelerator) prove(ctx context.Context) (err error) {
	device, err := os.OpenFile(cmp.Or(a.Device, "/dev/kvm"), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	if err := device.Close(); err != nil {
		return fmt.Errorf("close %s: %w", device.Name(), err)
	}
	if err := os.MkdirAll(a.Dir, 0o755); err != nil {
		return fmt.Errorf("make a directory for the trial of KVM: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(a.Dir)) }()
	p, err := a.try()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, a.Limit, fmt.Errorf("no kernel ran under KVM within %s", a.Limit))
	defer cancel()
	if err := a.watch(ctx, p); err != nil {
		return errors.Join(err, p.kill(time.Minute))
	}
	return nil
}

func (a *Accelerator) try() (*process, error) {
	o := machine("nestlab-kvm-trial", Acceleration{Name: KVM}, 128, 1)
	o.add("-kernel", a.Image.Kernel, "-initrd", a.Image.Initrd, "-append", kernelLine+" nestlab.prove")
	o.channels(a.Dir)
	p, err := startQEMU(o.args, nil, 0)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", qemuBinary, err)
	}
	return p, nil
}

// watch waits until the trial's kernel has powered the machine off.
func (a *Accelerator) watch(ctx context.Context, p *process) error {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		select {
		case <-p.done:
			return a.judge(p)
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
			if err := internalError(ctx, filepath.Join(a.Dir, monitorName)); err != nil {
				return err
			}
		}
	}
}

func (a *Accelerator) judge(p *process) error {
	if p.err != nil {
		return fmt.Errorf("KVM starts no guest here: %w", a.failure(p))
	}
	if console := p.console.String(); !strings.Contains(console, proven) {
		return fmt.Errorf("the kernel ended early under KVM: %s", lastWords(p.console))
	}
	return nil
}

// failure is the first line of QEMU's log, which names what failed, or else how
// the process ended.
func (a *Accelerator) failure(p *process) error {
	first, _, _ := strings.Cut(p.log.String(), "\n")
	if first == "" {
		return p.err
	}
	return errors.New(strings.TrimPrefix(first, qemuBinary+": "))
}

// internalError is an error where QEMU has stopped the machine because KVM
// cannot go on. A monitor that does not answer (yet, or any more) says nothing.
func internalError(ctx context.Context, socket string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	status, err := queryStatus(ctx, socket)
	if err == nil && status == "internal-error" {
		return errors.New("KVM stopped the machine with an internal error")
	}
	return nil
}

// queryStatus is QEMU's run state, such as running.
func queryStatus(ctx context.Context, socket string) (_ string, err error) {
	monitor, err := qapi.DialMonitor(ctx, socket)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, monitor.Close()) }()
	var state struct {
		Status string `json:"status"`
	}
	err = monitor.Call(ctx, "query-status", nil, &state)
	return state.Status, err
}
