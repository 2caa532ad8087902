package dind

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/nestlab/nestlab/tail"
)

// containerd is one of our own, started before dockerd as an init system would:
// dockerd gives one that it starts itself 15 s, too few on a slow machine.
type containerd struct {
	socket string
	cancel context.CancelFunc
	done   chan struct{}
	err    error // how it ended, once done is closed
}

// startContainerd returns once it takes connections, at most limit later. It lives
// until stop, or until ctx ends. Its data is in the daemon's data root, where that is
// named, as that of one which dockerd starts itself: Docker 29 has its images there.
func startContainerd(ctx context.Context, dir, root string, limit time.Duration) (*containerd, error) {
	path := filepath.Join(dir, "containerd.log")
	log, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open containerd's log: %w", err)
	}
	defer log.Close()
	c := &containerd{socket: filepath.Join(dir, "containerd.sock"), done: make(chan struct{})}
	ctx, c.cancel = context.WithCancel(ctx)
	args := []string{"--address", c.socket}
	if root != "" {
		args = append(args, "--root", filepath.Join(root, "containerd", "daemon"))
	}
	cmd := exec.CommandContext(ctx, "containerd", args...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 20 * time.Second
	if err := cmd.Start(); err != nil {
		c.cancel()
		return nil, fmt.Errorf("start containerd (it comes with Docker): %w", err)
	}
	go func() { c.err = cmd.Wait(); close(c.done) }()
	if err := c.await(ctx, limit); err != nil {
		failed := silent("containerd", path, fmt.Errorf("containerd took no connection within %s: %w; the end of %s:\n%s", limit, err, path, tail.File(path, 2<<10)))
		select {
		case <-c.done:
			failed.Daemon = ending("containerd", c.err, path).Daemon
		default:
		}
		return nil, errors.Join(failed, c.stop())
	}
	return c, nil
}

func (c *containerd) await(ctx context.Context, limit time.Duration) error {
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		select {
		case <-c.done:
			return struct{}{}, backoff.Permanent(fmt.Errorf("it ended: %w", c.err))
		default:
		}
		conn, err := net.Dial("unix", c.socket)
		if err != nil {
			return struct{}{}, err
		}
		return struct{}{}, conn.Close()
	}, backoff.WithBackOff(backoff.NewConstantBackOff(50*time.Millisecond)), backoff.WithMaxElapsedTime(limit))
	return err
}

// stop ends it and waits; nil for none is fine.
func (c *containerd) stop() error {
	if c == nil {
		return nil
	}
	c.cancel()
	select {
	case <-c.done:
		return nil
	case <-time.After(30 * time.Second):
		return fmt.Errorf("containerd on %s did not end within 30s", c.socket)
	}
}
