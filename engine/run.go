package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

const (
	// tailLines is how much of a log an error shows.
	tailLines = 20
	// tailBytes bounds what is read of a log's end.
	tailBytes = 64 << 10
	// endGrace is what an interrupted command gets to end by itself.
	endGrace = 20 * time.Second
)

// newCommand prepares a command that ends, with all its children, when ctx
// does, and that does not outlive this run if this is killed.
func newCommand(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = endGrace
	return cmd
}

// run runs a command with its output in a log of the cache; an error shows the
// log's end and names the file.
func (c cache) run(log string, cmd *exec.Cmd) (err error) {
	path := c.path("log", log+".log")
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return fmt.Errorf("open the log of %s: %w", log, err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	fmt.Fprintf(f, "--- %s %s\n", time.Now().UTC().Format(time.RFC3339), strings.Join(cmd.Args, " "))
	cmd.Stdout, cmd.Stderr = f, f
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("run %s: %w\n%s", cmd.Args[0], err, tail(path))
	}
	return nil
}

// tail is the end of a log, and where the rest is.
func tail(path string) string {
	b, err := lastBytes(path)
	if err != nil {
		return fmt.Sprintf("(its log cannot be read: %v)", err)
	}
	lines := strings.Split(strings.TrimRight(string(b), "\n"), "\n")
	if len(lines) > tailLines {
		lines = lines[len(lines)-tailLines:]
	}
	return fmt.Sprintf("--- the last lines of %s\n%s\n---", path, strings.Join(lines, "\n"))
}

func lastBytes(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if _, err := f.Seek(max(0, info.Size()-tailBytes), io.SeekStart); err != nil {
		return nil, err
	}
	return io.ReadAll(f)
}
