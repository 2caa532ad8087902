package world

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
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
