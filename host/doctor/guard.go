package doctor

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/nestlab/nestlab/host/networks"
	"github.com/nestlab/nestlab/host/standin"
	"github.com/nestlab/nestlab/observe/trace"
	"github.com/nestlab/nestlab/owner"
	"github.com/nestlab/nestlab/remedy"
)

const (
	// guardDone is what a doctor says that ends by itself.
	guardDone = "done\n"
	// takeBack bounds what a guard does once its doctor was killed.
	takeBack = time.Minute
)

// charge is what a guard is told of its doctor.
type charge struct {
	Journal  string             `json:"journal"`
	Scratch  string             `json:"scratch,omitempty"` // a directory that goes with the doctor
	Networks []networks.Network `json:"networks"`
	Doctor   owner.Owner        `json:"doctor"`
}

// Guard starts a process that reverts what this one has changed where it is killed:
// nobody is left then who would. Release ends it.
func (d *Doctor) Guard() (release func() error, err error) {
	self, err := owner.Executable()
	if err != nil {
		return nil, err
	}
	me, err := owner.Self("")
	if err != nil {
		return nil, err
	}
	w := charge{Journal: d.Journal, Scratch: d.Scratch, Networks: d.networks, Doctor: me}
	cmd := exec.Command(self, "doctor", "guard")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // what kills a whole session spares it
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("start the guard: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the guard: %w", errors.Join(err, in.Close()))
	}
	if err := json.NewEncoder(in).Encode(w); err != nil {
		return nil, fmt.Errorf("tell the guard: %w", errors.Join(err, in.Close(), cmd.Wait()))
	}
	return func() error {
		_, err := io.WriteString(in, guardDone)
		if err := errors.Join(err, in.Close(), cmd.Wait()); err != nil {
			return fmt.Errorf("end the guard: %w", err)
		}
		return nil
	}, nil
}

// Watch is what the guard does: it waits for the end of its doctor, and reverts what
// that one could not.
func Watch(ctx context.Context, in io.Reader) error {
	r := bufio.NewReader(in)
	line, err := r.ReadBytes('\n')
	if err != nil {
		return nil // it never began
	}
	var w charge
	if err := json.Unmarshal(line, &w); err != nil {
		return fmt.Errorf("read what is to be guarded: %w", err)
	}
	if last, _ := r.ReadString('\n'); last == guardDone {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), takeBack)
	defer cancel()
	errs := []error{w.ended(ctx), w.recover(ctx)}
	for _, n := range w.Networks {
		errs = append(errs, standin.Clear(n, w.Doctor.PID))
	}
	if w.Scratch != "" {
		errs = append(errs, os.RemoveAll(w.Scratch))
	}
	_, err = trace.Sweep(ctx)
	return errors.Join(append(errs, err)...)
}

// ended waits until the doctor's process is no more: one that is killed closes its files
// before that, and what is of a process that lives is not reverted.
func (w charge) ended(ctx context.Context) error {
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		if w.Doctor.Life() == owner.Lives {
			return struct{}{}, fmt.Errorf("%s has not ended", w.Doctor)
		}
		return struct{}{}, nil
	}, backoff.WithBackOff(backoff.NewConstantBackOff(10*time.Millisecond)))
	return err
}

// recover reverts what the doctor changed for a test.
func (w charge) recover(ctx context.Context) error {
	me, err := owner.Self("")
	if err != nil {
		return err
	}
	h := remedy.Host{Journal: w.Journal, Owner: &me}
	release, err := h.Hold(ctx, takeBack/2, nil)
	if err != nil {
		return fmt.Errorf("revert what a killed doctor changed: %w", err)
	}
	_, _, err = h.Recover(ctx)
	return errors.Join(err, release())
}
