package probe

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/client"
	"golang.org/x/net/http/httpproxy"
	"golang.org/x/sys/unix"

	"github.com/nestlab/nestlab/model"
)

// dockerState is what docker-ping and registry-pull leave for the next probes.
type dockerState struct {
	host string
	cli  *client.Client
	// absent is why there is no Docker here though it was to be installed.
	absent string
	// down is why the daemon cannot be asked; set by docker-ping.
	down string
	// missing is why there is no image; set by registry-pull.
	missing model.Reason
	// root is the daemon's data directory, as the daemon names it.
	root string
	// proxy are the proxies that the daemon goes by.
	proxy httpproxy.Config
	// ours says that the image was not there before it was pulled.
	ours  bool
	image string
}

// connect makes the client, once. It does not dial yet.
func (d *dockerState) connect() error {
	if d.cli != nil {
		return nil
	}
	opts := []client.Opt{client.FromEnv, client.WithAPIVersionNegotiation()}
	if d.host != "" {
		opts = append(opts, client.WithHost(d.host))
	}
	cli, err := client.NewClientWithOpts(opts...)
	if err != nil {
		return fmt.Errorf("make a Docker client; check DOCKER_HOST: %w", err)
	}
	d.cli = cli
	return nil
}

func probeDockerPing(ctx context.Context, e *env, _ string) observation {
	d := e.docker
	d.down = "docker-ping was not made"
	if err := d.connect(); err != nil {
		d.down = err.Error()
		return observation{reason: model.DaemonDown, err: err}
	}
	values := map[string]string{"host": d.cli.DaemonHost()}
	ping, err := d.cli.Ping(ctx)
	if err != nil {
		return d.notAnswering(ctx, fmt.Errorf("ping the Docker daemon: %w", err), values)
	}
	info, err := d.cli.Info(ctx)
	if err != nil {
		return d.notAnswering(ctx, fmt.Errorf("ask the Docker daemon about itself: %w", err), values)
	}
	d.down, d.root = "", info.DockerRootDir
	d.proxy = httpproxy.Config{HTTPProxy: info.HTTPProxy, HTTPSProxy: info.HTTPSProxy, NoProxy: info.NoProxy}
	values["api"] = ping.APIVersion
	values["version"] = info.ServerVersion
	values["storage_driver"] = info.Driver
	if info.Driver == slowDriver {
		// The daemon works all the same: what follows is probed.
		return observation{reason: model.StorageDriver, values: values,
			err: fmt.Errorf("the storage driver is %s, which copies whole file systems: give dockerd a data directory that overlay2 can use", slowDriver)}
	}
	return observation{values: values}
}

// slowDriver is what dockerd falls back to where no other driver works.
const slowDriver = "vfs"

// notAnswering tells a socket that is closed to this user from a dead daemon:
// the client's error hides which it is, dialling the socket shows it.
func (d *dockerState) notAnswering(ctx context.Context, err error, values map[string]string) observation {
	o := observation{reason: model.DaemonDown, err: err, values: values}
	if host, parseErr := client.ParseHostURL(d.cli.DaemonHost()); parseErr == nil {
		dialErr := dialDaemon(ctx, host)
		values["dial"] = string(Classify(dialErr))
		if errors.Is(dialErr, fs.ErrNotExist) {
			values["dial"] = "no socket"
		}
		if Classify(dialErr) == model.Permission {
			o.reason = model.Permission
			o.err = fmt.Errorf("%w; add this user to the socket's group, or run nestlab as root", dialErr)
		} else if dialErr != nil {
			o.err = both(err, dialErr)
		}
	}
	d.down = o.err.Error()
	return o
}

func dialDaemon(ctx context.Context, host *url.URL) error {
	network, address := host.Scheme, host.Host
	switch network {
	case "unix":
		if address == "" {
			address = host.Path
		}
		if _, err := os.Stat(address); err != nil {
			return fmt.Errorf("look at the Docker socket: %w", err)
		}
	case "http", "https":
		network = "tcp"
	}
	d := net.Dialer{Timeout: time.Second}
	conn, err := d.DialContext(ctx, network, address)
	if err != nil {
		return fmt.Errorf("dial the Docker socket: %w", err)
	}
	closeQuietly(conn)
	return nil
}

// unavailable is what the other probes say while the daemon is down.
func (d *dockerState) unavailable() (observation, bool) {
	if d.down == "" && d.cli != nil {
		return observation{}, false
	}
	return observation{reason: model.DaemonDown, message: "not tried: " + d.down}, true
}

// without is what run and build say where there is no image.
func (d *dockerState) without(ctx context.Context, image string) (observation, bool) {
	if o, down := d.unavailable(); down {
		return o, true
	}
	_, err := d.cli.ImageInspect(ctx, image)
	switch {
	case err == nil:
		return observation{}, false
	case cerrdefs.IsNotFound(err):
		reason := d.missing
		if reason == "" {
			reason = model.ImageNotFound
		}
		return observation{reason: reason, message: "not tried: registry-pull brought no image " + image}, true
	}
	return observation{reason: d.classify(ctx, err, model.DaemonDown), err: fmt.Errorf("look for image %s: %w", image, err)}, true
}

// classify says why a call of the daemon failed: that it has died, if it does
// not answer any more, else fallback where the value tells nothing.
func (d *dockerState) classify(ctx context.Context, err error, fallback model.Reason) model.Reason {
	// The daemon hands on what the kernel told it as words, and removes what it had
	// written: a moment later there is room again. Of a container that does not start it
	// may be another limit of the kernel.
	noSpace := strings.Contains(err.Error(), syscall.ENOSPC.Error())
	if noSpace && (fallback != model.ContainerFailed || !d.hasRoom()) {
		return model.DiskFull
	}
	known := []model.Reason{model.Canceled, model.DeadlineExceeded, model.DiskFull, model.StorageDriver}
	if reason := Classify(err); slices.Contains(known, reason) {
		return reason
	}
	pingCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	if _, pingErr := d.cli.Ping(pingCtx); pingErr != nil {
		return model.Lost
	}
	if d.root != "" && strings.HasPrefix(d.cli.DaemonHost(), "unix://") && diskFull(d.root) {
		return model.DiskFull
	}
	return fallback
}

// plentyFree is what a container that just starts does not fill, in bytes.
const plentyFree = 64 << 20

// hasRoom reports whether the daemon's data directory has space and inodes left.
func (d *dockerState) hasRoom() bool {
	var fs unix.Statfs_t
	return d.root != "" && strings.HasPrefix(d.cli.DaemonHost(), "unix://") && unix.Statfs(d.root, &fs) == nil &&
		fs.Bavail*uint64(fs.Bsize) > plentyFree && (fs.Files == 0 || fs.Ffree > 100)
}

// close removes the image that was pulled, and the client.
func (d *dockerState) close(ctx context.Context) error {
	if d.cli == nil {
		return nil
	}
	var err error
	if d.ours {
		err = d.removeImage(ctx, d.image)
	}
	return errors.Join(err, d.cli.Close())
}
