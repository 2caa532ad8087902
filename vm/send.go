package vm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"syscall"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// Send runs a command and writes what it prints to the port as it is printed, marked
// with the token. It returns the command's exit code; what it prints on standard error
// goes to stderr. When ctx ends, the command is killed with all that it began, unless
// that left its process group.
func Send(ctx context.Context, port, token string, command []string, stdin io.Reader, stderr io.Writer) (code int, err error) {
	to, err := whenFree(ctx, func() (*os.File, error) { return os.OpenFile(port, os.O_WRONLY, 0) })
	if err != nil {
		return -1, fmt.Errorf("open the port for output: %w", err)
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	if deadline, ok := ctx.Deadline(); ok {
		// The port takes nothing while nobody listens on the host.
		if err := to.SetWriteDeadline(deadline.Add(time.Second)); err != nil {
			return -1, fmt.Errorf("bound the output: %w", err)
		}
	}
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, marked{to, token}, stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) } // the group
	// What a command leaves running may keep its output open for ever.
	cmd.WaitDelay = drainWithin
	ran := cmd.Run()
	if ran != nil && ctx.Err() != nil {
		return -1, fmt.Errorf("%s was cut off: %w", command[0], context.Cause(ctx))
	}
	var exit *exec.ExitError
	if ran != nil && !errors.As(ran, &exit) && !errors.Is(ran, exec.ErrWaitDelay) {
		return -1, fmt.Errorf("run %s: %w", command[0], ran)
	}
	if _, err := io.WriteString(to, lastRecord(token)); err != nil {
		return -1, fmt.Errorf("end the output: %w", err)
	}
	return cmd.ProcessState.ExitCode(), nil
}

// freeWithin is how long a port may be in use by an earlier command: the host's limit
// of that passes before the guest's own, which begins later.
const freeWithin = drainWithin + 5*time.Second

// whenFree opens a virtio-serial port, which only one process can have open.
func whenFree(ctx context.Context, open func() (*os.File, error)) (*os.File, error) {
	return backoff.Retry(ctx, func() (*os.File, error) {
		f, err := open()
		if err != nil && !errors.Is(err, syscall.EBUSY) {
			err = backoff.Permanent(err)
		}
		return f, err
	}, backoff.WithBackOff(backoff.NewConstantBackOff(pollEvery)), backoff.WithMaxElapsedTime(freeWithin))
}

// marked writes records of a token.
type marked struct {
	to    io.Writer
	token string
}

// recordSize is how much of what is printed is in one record at most. With each byte
// escaped it is still written at once: a pipe takes 4096 bytes so, a port more.
const recordSize = 2000

func (m marked) Write(p []byte) (int, error) {
	n := 0
	for piece := range slices.Chunk(p, recordSize) {
		if _, err := io.WriteString(m.to, record(m.token, string(piece))); err != nil {
			return n, err
		}
		n += len(piece)
	}
	return n, nil
}
