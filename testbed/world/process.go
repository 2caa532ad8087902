package world

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"

	"github.com/vishvananda/netns"
)

const (
	// termGrace is between SIGTERM and SIGKILL.
	termGrace = 10 * time.Second
	// childCommand and childRole lead to ChildMain: `nestlab world child ROLE`.
	childCommand = "world"
	childRole    = "child"
)

// onThread runs f on an operating system thread of its own, which may change
// its namespaces as it likes: the thread ends with f.
func onThread(f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the Go runtime then ends the thread
		done <- f()
	}()
	return <-done
}

// child is a process that dies with this one.
type child struct {
	cmd  *exec.Cmd
	done chan struct{}
	err  error // of Wait; valid once done is closed
}

// start starts cmd from a thread that prepare has put into the right namespaces
// and cgroups. The thread lives as long as the process, for that is what the
// parent-death signal is bound to. When the command's context is done stop is
// called, and the process is killed ten seconds later.
func start(cmd *exec.Cmd, prepare func() error, stop func(*os.Process) error) (*child, error) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	cmd.Cancel = func() error { return stop(cmd.Process) }
	cmd.WaitDelay = termGrace
	c := &child{cmd: cmd, done: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		err := prepare()
		if err == nil {
			err = cmd.Start()
		}
		started <- err
		if err == nil {
			c.err = cmd.Wait()
			close(c.done)
		}
	}()
	return c, <-started
}

// terminate is how a process is asked to end.
func terminate(p *os.Process) error { return p.Signal(syscall.SIGTERM) }

// failure says how the process ended; it always ended badly when it was not asked to.
func (c *child) failure() error {
	if c.err != nil {
		return c.err
	}
	return errors.New("it ended by itself")
}

// command prepares one of the world's own processes. The context ends it.
func (w *World) command(ctx context.Context, role string, files ...*os.File) (*exec.Cmd, error) {
	executable, err := w.executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, executable, childCommand, childRole, role)
	cmd.ExtraFiles = files
	return cmd, nil
}

// inNetwork puts the thread into a network namespace.
func inNetwork(ns netns.NsHandle) func() error {
	return func() error {
		if err := netns.Set(ns); err != nil {
			return fmt.Errorf("enter the network namespace: %w", err)
		}
		return nil
	}
}

// exitCode turns the end of a command into its code, 128 + N after signal N.
func exitCode(err error) (int, error) {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0, nil
	case !errors.As(err, &exit):
		return 0, err
	}
	if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal()), nil
	}
	return exit.ExitCode(), nil
}
