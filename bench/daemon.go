package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/nestlab/nestlab/dind"
)

// newDaemon is a dockerd as nestlab starts it.
func (i inside) newDaemon() (*dind.Daemon, error) {
	settings, err := dind.Settings()
	if err != nil {
		return nil, err
	}
	return &dind.Daemon{Settings: settings, Dir: filepath.Join(i.dir, "dockerd")}, nil
}

// startDaemon starts dockerd, waits for its API and ends it, untimed.
func (i inside) startDaemon(ctx context.Context) (time.Duration, error) {
	d, err := i.newDaemon()
	if err != nil {
		return 0, err
	}
	begin := time.Now()
	err = d.Start(ctx, time.Minute)
	took := time.Since(begin)
	return took, errors.Join(err, d.Stop())
}

// startByScript does the same by a script, with the same settings.
func (i inside) startByScript(name string) func(context.Context) (time.Duration, error) {
	return func(ctx context.Context) (time.Duration, error) {
		pidfile := filepath.Join(i.dir, "script-dockerd.pid")
		_, took, err := timed(ctx, "bash", i.path(name),
			filepath.Join(i.dir, "dockerd", "daemon.json"), filepath.Join(i.dir, "script-dockerd.log"), pidfile)
		return took, errors.Join(err, end(ctx, pidfile))
	}
}

// end terminates the process of a pid file and waits until it is gone.
func end(ctx context.Context, pidfile string) error {
	text, err := os.ReadFile(pidfile)
	if err != nil {
		return fmt.Errorf("find the dockerd to end: %w", err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return fmt.Errorf("read the process id in %s: %w", pidfile, err)
	}
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
		return fmt.Errorf("end dockerd: %w", err)
	}
	_, err = backoff.Retry(ctx, func() (struct{}, error) {
		err := syscall.Kill(pid, 0)
		if errors.Is(err, syscall.ESRCH) {
			return struct{}{}, nil
		}
		return struct{}{}, errors.Join(fmt.Errorf("process %d is still there", pid), err)
	}, backoff.WithBackOff(backoff.NewConstantBackOff(50*time.Millisecond)), backoff.WithMaxElapsedTime(30*time.Second))
	if err != nil {
		return fmt.Errorf("wait for dockerd's end: %w", err)
	}
	return nil
}
