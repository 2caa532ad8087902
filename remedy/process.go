package remedy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nestlab/nestlab/owner"
)

// process is a server of nestlab's own that runs on after the command.
type process struct {
	Args []string `json:"args"`
	// PID and Started are zero until it was started; Started, in clock ticks since
	// boot, tells it from a later process of the same number.
	PID     int    `json:"pid,omitempty"`
	Started uint64 `json:"started,omitempty"`
}

func (p *process) String() string { return "process nestlab " + strings.Join(p.Args, " ") }
func (p *process) lasts() bool    { return false }
func (p *process) over() string   { return "" }

// readyWithin is how long a server may take until it listens.
const readyWithin = time.Minute

// do starts the server, which does nothing until it is told to: by then its
// number is in the journal. If this process dies before, it ends by itself.
func (p *process) do(ctx context.Context, save func() error) error {
	self, err := owner.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(self, append(p.Args, "--wait")...)
	cmd.Dir, cmd.SysProcAttr = "/", &syscall.SysProcAttr{Setsid: true}
	gate, err := cmd.StdinPipe()
	if err != nil {
		return fmt.Errorf("make a pipe: %w", err)
	}
	defer gate.Close()
	answer, told, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("make a pipe: %w", err)
	}
	defer answer.Close()
	cmd.Stdout = told
	if err := errors.Join(cmd.Start(), told.Close()); err != nil {
		return fmt.Errorf("start it: %w", err)
	}
	// Reaped here; that it is killed is how it ends, so its code says nothing.
	go func() { _ = cmd.Wait() }()
	p.PID = cmd.Process.Pid
	if p.Started, err = owner.Started(p.PID); err != nil {
		return err
	}
	if err := save(); err != nil {
		return err
	}
	if _, err := io.WriteString(gate, "go\n"); err != nil {
		return fmt.Errorf("let it begin: %w", err)
	}
	return ready(ctx, answer)
}

// ready waits for what the server says once it listens, or cannot.
func ready(ctx context.Context, answer *os.File) error {
	deadline := time.Now().Add(readyWithin)
	if d, ok := ctx.Deadline(); ok && d.Before(deadline) {
		deadline = d
	}
	if err := answer.SetReadDeadline(deadline); err != nil {
		return fmt.Errorf("wait for it: %w", err)
	}
	text, err := io.ReadAll(io.LimitReader(answer, 4096))
	if err != nil {
		return fmt.Errorf("wait until it listens: %w", err)
	}
	if said := string(bytes.TrimSpace(text)); said != serving {
		return fmt.Errorf("it does not serve: %s", said)
	}
	return nil
}

func (p *process) undo(ctx context.Context) error {
	there, err := p.in(ctx)
	if err != nil || !there {
		return err
	}
	fd, err := unix.PidfdOpen(p.PID, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("open process %d: %w", p.PID, err)
	}
	defer unix.Close(fd)
	// Looked at again: from here on the number cannot become another's.
	if there, err := p.in(ctx); err != nil || !there {
		return err
	}
	for _, signal := range []unix.Signal{unix.SIGTERM, unix.SIGKILL} {
		if err := unix.PidfdSendSignal(fd, signal, nil, 0); errors.Is(err, unix.ESRCH) {
			return nil
		} else if err != nil {
			return fmt.Errorf("end process %d: %w", p.PID, err)
		}
		ended, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 5000)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("wait for the end of process %d: %w", p.PID, err)
		}
		if ended > 0 {
			return nil
		}
	}
	return fmt.Errorf("process %d does not end; end it by hand", p.PID)
}

func (p *process) in(context.Context) (bool, error) {
	if p.PID == 0 {
		return false, nil
	}
	now, err := owner.Started(p.PID)
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ESRCH) {
		return false, nil
	}
	return now == p.Started, err
}
