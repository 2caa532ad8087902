package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// process is a process that cannot be mistaken for a later one with its number.
type process struct {
	PID   int    `json:"pid"`
	Start string `json:"start"` // field 22 of proc(5)'s stat: ticks since boot
	Boot  string `json:"boot"`  // the kernel's boot id
}

// identify describes a process that runs now.
func identify(pid int) (process, error) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return process{}, fmt.Errorf("look at process %d: %w", pid, err)
	}
	start, zombie, err := parseStat(string(b))
	if err != nil {
		return process{}, fmt.Errorf("look at process %d: %w", pid, err)
	}
	if zombie {
		return process{}, fmt.Errorf("process %d has ended: %w", pid, os.ErrProcessDone)
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return process{}, fmt.Errorf("read the boot id: %w", err)
	}
	return process{pid, start, strings.TrimSpace(string(boot))}, nil
}

// parseStat gives a process's start time and whether it has ended. The name in
// the second field may hold anything, so the fields count from the last ")".
func parseStat(stat string) (start string, ended bool, err error) {
	i := strings.LastIndexByte(stat, ')')
	if i < 0 {
		return "", false, errors.New("its stat has no name")
	}
	f := strings.Fields(stat[i+1:])
	if len(f) < 20 {
		return "", false, fmt.Errorf("its stat has %d fields after the name, not 20", len(f))
	}
	return f[19], f[0] == "Z" || f[0] == "X", nil
}

// alive tells whether this very process still runs.
func (p process) alive() bool {
	if p.PID == 0 {
		return false
	}
	now, err := identify(p.PID)
	return err == nil && now == p
}

// end asks a process to end, waits, and kills it after the grace time. A
// process that is gone, or whose number is now another's, is not touched.
func (p process) end(ctx context.Context, grace time.Duration) error {
	fd, err := unix.PidfdOpen(p.PID, 0)
	if err != nil || !p.alive() {
		return nil // it has ended; with the descriptor open its number is safe from here on
	}
	defer unix.Close(fd)
	for _, step := range []struct {
		signal unix.Signal
		wait   time.Duration
	}{{unix.SIGTERM, grace}, {unix.SIGKILL, 10 * time.Second}} {
		if err := unix.PidfdSendSignal(fd, step.signal, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("end process %d: %w", p.PID, err)
		}
		gone, err := waitGone(ctx, fd, step.wait)
		if gone || err != nil {
			return err
		}
	}
	return fmt.Errorf("process %d is still there after SIGKILL", p.PID)
}

// waitGone waits for the process behind a pidfd to end.
func waitGone(ctx context.Context, fd int, limit time.Duration) (bool, error) {
	const look = 250 * time.Millisecond // how often ctx is looked at
	for deadline := time.Now().Add(limit); time.Now().Before(deadline); {
		if err := ctx.Err(); err != nil {
			return false, err
		}
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(look.Milliseconds()))
		if err != nil && !errors.Is(err, unix.EINTR) {
			return false, fmt.Errorf("wait for a process to end: %w", err)
		}
		if n > 0 {
			return true, nil
		}
	}
	return false, nil
}
