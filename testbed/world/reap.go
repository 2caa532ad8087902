package world

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// reap is a small init: it starts the command, passes signals on to it, waits
// for every orphan and gives the command's exit code.
func reap(command []string) (int, error) {
	signals := make(chan os.Signal, 64)
	signal.Notify(signals)
	process, err := os.StartProcess(command[0], command, &os.ProcAttr{
		Env: os.Environ(), Files: []*os.File{os.Stdin, os.Stdout, os.Stderr},
	})
	if err != nil {
		return 0, fmt.Errorf("start %s: %w", command[0], err)
	}
	for s := range signals {
		switch s {
		case syscall.SIGURG: // the Go runtime's own
		case syscall.SIGCHLD:
			if status, ended := reapAll(process.Pid); ended {
				if status.Signaled() {
					return 128 + int(status.Signal()), nil
				}
				return status.ExitStatus(), nil
			}
		default:
			if err := process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
				return 0, fmt.Errorf("pass %v on to %s: %w", s, command[0], err)
			}
		}
	}
	return 0, errors.New("wait for signals: none come any more")
}

// initLimit is how long an init may take to see to its signals after it was executed.
const initLimit = 30 * time.Second

// awaitInit waits until the first process of a process namespace has started the
// command. It sees to its signals before that, and until then the kernel
// ignores what it is sent.
func awaitInit(pid int) error {
	ctx, cancel := context.WithTimeout(context.Background(), initLimit)
	defer cancel()
	tasks := filepath.Join("/proc", strconv.Itoa(pid), "task")
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		threads, err := os.ReadDir(tasks) // any of our own init's may have started it
		if err != nil || len(threads) == 0 {
			return struct{}{}, nil // gone
		}
		for _, t := range threads {
			children, err := os.ReadFile(filepath.Join(tasks, t.Name(), "children"))
			if err == nil && len(children) > 0 {
				return struct{}{}, nil
			}
		}
		return struct{}{}, errors.New("it has started no command yet")
	}, backoff.WithBackOff(backoff.NewConstantBackOff(5*time.Millisecond)))
	if err != nil {
		return fmt.Errorf("wait for the runner's init: %w", err)
	}
	return nil
}

// reapAll waits for every process that has ended and tells how pid did.
func reapAll(pid int) (ended syscall.WaitStatus, found bool) {
	for {
		var status syscall.WaitStatus
		got, err := syscall.Wait4(-1, &status, syscall.WNOHANG, nil)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if err != nil || got <= 0 {
			return ended, found
		}
		if got == pid {
			ended, found = status, true
		}
	}
}
