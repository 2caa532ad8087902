package dind

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/docker/docker/client"

	"github.com/nestlab/nestlab/tail"
)

// DefaultSocket is where a daemon listens unless told otherwise.
const DefaultSocket = "/var/run/docker.sock"

// Daemon supervises a dockerd that listens on a unix socket only: on TCP
// without TLS dockerd waits on purpose, and it would be open to everyone.
type Daemon struct {
	// Socket is the path of the unix socket; empty means DefaultSocket.
	Socket string
	// Shared is a second socket, for clients outside the container; may be empty.
	Shared string
	// Root is the data root; empty means /var/lib/docker. Path, where it is not empty, is
	// the directory of programs that dockerd is to use before others.
	Root, Path string
	// Lock is held by dockerd too, as long as it lives; nil for none.
	Lock *os.File
	// Settings become the daemon's configuration file.
	Settings map[string]any
	// Dir holds the log and, unless Config names another file, the configuration;
	// empty means /var/lib/nestlab/dockerd.
	Dir string
	// Config is the path of the configuration file; empty means daemon.json in Dir.
	Config string
	// Restarts is number of restarts of a daemon that dies; after that
	// Wait returns its last error.
	Restarts int
	// Containerd starts containerd first, for machines on which it takes longer
	// than dockerd waits for one of its own.
	Containerd bool

	containerd *containerd

	mu     sync.Mutex
	parent context.Context // that of Start, which the daemon does not survive
	ready  time.Duration
	cancel context.CancelFunc
	done   chan struct{}
	err    error // of the last daemon; guarded by mu until done is closed
}

// LogFile is where the daemon's output goes.
func (d *Daemon) LogFile() string { return filepath.Join(d.Dir, logName) }

// Host is the daemon's address for DOCKER_HOST.
func (d *Daemon) Host() string { return "unix://" + d.Socket }

// Start starts the daemon and returns once its API answers, or fails with the
// end of its log. The daemon lives until Stop or until ctx ends.
func (d *Daemon) Start(ctx context.Context, ready time.Duration) error {
	d.defaults()
	if _, err := exec.LookPath("dockerd"); err != nil {
		return fmt.Errorf("start dockerd: it is not installed here; put Docker in first (nestlab dind install): %w", err)
	}
	if err := checkPrivileges(); err != nil {
		return err
	}
	if err := d.writeConfig(); err != nil {
		return err
	}
	d.parent, d.ready = ctx, ready
	return d.launch(ctx)
}

func (d *Daemon) defaults() {
	d.Socket = cmp.Or(d.Socket, DefaultSocket)
	d.Dir = cmp.Or(d.Dir, "/var/lib/nestlab/dockerd")
	d.Config = cmp.Or(d.Config, filepath.Join(d.Dir, "daemon.json"))
}

func (d *Daemon) pidFile() string { return filepath.Join(d.Dir, "dockerd.pid") }

// launch starts the daemon with the configuration as it is. It lives until the
// context of Start ends; ctx bounds the waiting for it.
func (d *Daemon) launch(ctx context.Context) error {
	if d.Containerd {
		// dockerd needs it to end its containers: it lives until dockerd is gone.
		var err error
		if d.containerd, err = startContainerd(context.WithoutCancel(d.parent), d.Dir, d.Root, d.ready); err != nil {
			return err
		}
	}
	life, cancel := context.WithCancel(d.parent)
	d.cancel, d.done = cancel, make(chan struct{})
	if err := os.Remove(failureFile(d.Dir)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		cancel()
		return errors.Join(fmt.Errorf("remove what an earlier daemon left: %w", err), d.containerd.stop())
	}
	go d.supervise(life, d.Config)
	ctx, giveUp := context.WithCancel(ctx)
	defer giveUp()
	defer context.AfterFunc(life, giveUp)()
	if err := d.waitReady(ctx, d.ready); err != nil {
		return errors.Join(err, d.Stop())
	}
	return nil
}

// Restart ends the daemon and starts it again, with what its configuration file
// says by now. Its containers end with it, unless their policy is another. Ctx
// bounds both. Where the context of Start has ended the daemon is only stopped:
// nobody needs it any more, and whoever starts it next reads the configuration.
func (d *Daemon) Restart(ctx context.Context) error {
	if d.parent == nil {
		return errors.New("restart dockerd: it was not started")
	}
	if err := d.stop(ctx); err != nil {
		return err
	}
	if d.parent.Err() != nil {
		return nil
	}
	if err := d.launch(ctx); d.parent.Err() == nil {
		return err
	}
	return d.stop(ctx) // it ended while the daemon came up
}

func (d *Daemon) writeConfig() error {
	for _, dir := range []string{d.Dir, filepath.Dir(d.Config), filepath.Dir(d.Socket), filepath.Dir(d.Shared)} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("make the daemon's directory: %w", err)
		}
	}
	settings := d.Settings
	if settings == nil {
		settings = map[string]any{}
	}
	text, err := json.MarshalIndent(settings, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the daemon's settings: %w", err)
	}
	if err := os.WriteFile(d.Config, text, 0o644); err != nil {
		return fmt.Errorf("write the daemon's settings: %w", err)
	}
	return nil
}

// supervise starts dockerd, and again when it dies by itself.
func (d *Daemon) supervise(ctx context.Context, config string) {
	defer close(d.done)
	defer func() {
		if err := d.containerd.stop(); err != nil {
			d.fail(err)
		}
	}()
	wait := backoff.NewExponentialBackOff()
	for try := 0; ; try++ {
		err := d.once(ctx, config)
		if ctx.Err() != nil {
			return
		}
		failed := ending("dockerd", err, d.LogFile())
		failed.Err = fmt.Errorf("dockerd ended by itself: %w; the end of %s:\n%s", err, d.LogFile(), tail.File(d.LogFile(), 2<<10))
		d.fail(failed)
		if try >= d.Restarts {
			d.record(failed.Daemon)
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait.NextBackOff()):
		}
	}
}

func (d *Daemon) fail(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.err = err
}

func (d *Daemon) once(ctx context.Context, config string) error {
	log, err := os.OpenFile(d.LogFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("open the daemon's log: %w", err)
	}
	defer log.Close()
	args := []string{"--host", d.Host(), "--config-file", config, "--pidfile", d.pidFile()}
	if d.Root != "" {
		args = append(args, "--data-root", d.Root)
	}
	if d.containerd != nil {
		args = append(args, "--containerd", d.containerd.socket)
	}
	if d.Shared != "" {
		args = append(args, "--host", "unix://"+d.Shared)
	}
	cmd := exec.CommandContext(ctx, "dockerd", args...)
	if d.Lock != nil {
		cmd.ExtraFiles = []*os.File{d.Lock}
	}
	if d.Path != "" {
		cmd.Env = append(os.Environ(), "PATH="+d.Path+":"+os.Getenv("PATH"))
	}
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 20 * time.Second
	return cmd.Run()
}

// waitReady polls the API: the daemon's own word that it is ready.
func (d *Daemon) waitReady(ctx context.Context, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	api, err := client.NewClientWithOpts(client.WithHost(d.Host()), client.WithAPIVersionNegotiation())
	if err != nil {
		return fmt.Errorf("make a client for %s: %w", d.Host(), err)
	}
	defer api.Close()
	_, err = backoff.Retry(ctx, func() (struct{}, error) {
		select {
		case <-d.done:
			return struct{}{}, backoff.Permanent(d.err)
		default:
		}
		_, err := api.Ping(ctx)
		return struct{}{}, err
	}, backoff.WithBackOff(backoff.NewConstantBackOff(50*time.Millisecond)), backoff.WithMaxElapsedTime(limit))
	select {
	case <-d.done:
		return d.err
	default:
	}
	if err != nil {
		return silent("dockerd", d.LogFile(), fmt.Errorf("dockerd's API on %s did not answer within %s: %w; the end of %s:\n%s",
			d.Socket, limit, err, d.LogFile(), tail.File(d.LogFile(), 2<<10)))
	}
	return nil
}

// Wait returns when the daemon is gone for good: nil after Stop.
func (d *Daemon) Wait() error {
	<-d.done
	return d.err
}

// Stop ends the daemon and waits for it.
func (d *Daemon) Stop() error { return d.stop(context.Background()) }

// stop is Stop, which waits no longer than ctx.
func (d *Daemon) stop(ctx context.Context) error {
	if d.cancel == nil {
		return nil
	}
	d.cancel()
	select {
	case <-d.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for the end of dockerd on %s: %w", d.Socket, context.Cause(ctx))
	case <-time.After(30 * time.Second):
		return fmt.Errorf("dockerd on %s did not end within 30s", d.Socket)
	}
}
