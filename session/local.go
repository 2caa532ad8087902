package session

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"syscall"
	"time"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/owner"
)

// Local is the place that this process itself runs in.
type Local struct {
	At model.Place
	// With are the suites to run.
	With []string
	// Up and Down are called by Start and Stop; nil for nothing to do.
	Up   func(ctx context.Context, took Took) error
	Down func(ctx context.Context) error
}

// Place implements Environment.
func (l *Local) Place() model.Place { return l.At }

// Suites implements Environment.
func (l *Local) Suites() []string { return l.With }

// Start implements Environment.
func (l *Local) Start(ctx context.Context, took Took) error {
	if l.Up == nil {
		return nil
	}
	return l.Up(ctx, took)
}

// Stop implements Environment.
func (l *Local) Stop(ctx context.Context) error {
	if l.Down == nil {
		return nil
	}
	return l.Down(ctx)
}

// Exec implements Environment: in a process of its own, as everywhere else, so
// that the probe sees the same thing from the same kind of process.
func (l *Local) Exec(ctx context.Context, c Command) (int, error) {
	self, err := owner.Executable()
	if err != nil {
		return -1, err
	}
	cmd := exec.CommandContext(ctx, self, c.Args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = c.Stdin, c.Stdout, c.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	err = cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.Exited() {
		return exit.ExitCode(), nil
	}
	if err != nil {
		return -1, fmt.Errorf("run nestlab %v here: %w", c.Args[0], err)
	}
	return 0, nil
}
