package dind

import (
	"archive/tar"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/docker/docker/api/types/build"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/pkg/jsonmessage"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/session"
	"github.com/nestlab/nestlab/spec"
	"github.com/nestlab/nestlab/tail"
)

// inside is the directory through which a nested daemon's socket is shared.
const inside = "/run/nestlab"

// Nested describes one Docker-in-Docker container of a daemon and the plain
// container of the daemon in it.
type Nested struct {
	// Host runs the container; Base is the image it starts from; Binary the one
	// binary's path as that daemon sees it.
	Host, Base, Binary string
	Install            Install
	Phase              spec.Phase
	// Dir is a directory on the daemon's machine for the nested daemon's socket.
	Dir string
	// Certs is a directory of registry certificates, as /etc/docker/certs.d; may be empty.
	Certs string
	// First is the image of the container that shows that the daemon works.
	First string
	// Ready bounds the wait for the nested daemon's API; 0 is a minute.
	Ready time.Duration
	// Containerd is the Daemon's.
	Containerd bool
}

// serve runs the nested daemon.
func (n Nested) serve() []string {
	return []string{
		spec.BinaryPath, "dind", "serve", "--share", filepath.Join(inside, "docker.sock"), "--dir", inside,
		"--ready", n.patience().String(), "--containerd=" + strconv.FormatBool(n.Containerd),
	}
}

func (n Nested) patience() time.Duration { return cmp.Or(n.Ready, time.Minute) }

// within bounds the installation. It takes seconds; where packages do not come, each
// of them is waited for, and asked for again.
func (n Nested) within(ctx context.Context) (context.Context, context.CancelFunc) {
	limit := 5 * n.patience()
	return context.WithTimeoutCause(ctx, limit, fmt.Errorf("it was given up after %s", limit))
}

// why is the error, and that the time was over where it was.
func why(ctx context.Context, err error) error {
	if ctx.Err() == nil || errors.Is(err, context.Cause(ctx)) {
		return err
	}
	return fmt.Errorf("%w: %w", context.Cause(ctx), err)
}

// Environments are the Docker-in-Docker container and the container in it.
func (n Nested) Environments() []session.Environment {
	setup := spec.SetupName(n.Install.Method, n.Phase)
	outer := &Container{
		At:   model.Place{Environment: model.EnvDind, Setup: setup},
		Host: n.Host, Image: n.Base, Binary: n.Binary, Privileged: true,
		Binds: []string{n.Dir + ":" + inside}, Volumes: []string{"/var/lib/docker"},
	}
	if n.Certs != "" {
		outer.Binds = append(outer.Binds, n.Certs+":/etc/docker/certs.d:ro")
	}
	if n.Phase == spec.BuildTime {
		outer.Image, outer.Before = n.image(), n.build
		outer.Command = n.serve()
		outer.After = func(ctx context.Context, _ *Container, took session.Took) error {
			return n.ready(ctx, time.Now(), took)
		}
	} else {
		outer.After = n.install
	}
	return []session.Environment{outer, &Container{
		At:   model.Place{Environment: model.EnvDindInner, Setup: setup},
		Host: n.socket(), Image: n.Base, Binary: spec.BinaryPath,
	}}
}

func (n Nested) socket() string { return "unix://" + filepath.Join(n.Dir, "docker.sock") }

func (n Nested) image() string { return "nestlab/dind:" + string(n.Install.Method) }

// build makes the image with Docker in it, by the daemon's own builder.
func (n Nested) build(ctx context.Context, took session.Took) error {
	api, err := Dial(n.Host)
	if err != nil {
		return err
	}
	defer api.Close()
	if err := pull(ctx, api, n.Base); err != nil {
		return err
	}
	start := time.Now()
	files, err := n.buildContext()
	if err != nil {
		return err
	}
	ctx, cancel := n.within(ctx)
	defer cancel()
	made, err := api.ImageBuild(ctx, files, build.ImageBuildOptions{
		Tags: []string{n.image()}, Remove: true, ForceRemove: true, NoCache: true,
	})
	if err != nil {
		return fmt.Errorf("build %s: %w", n.image(), why(ctx, err))
	}
	defer made.Body.Close()
	log := tail.New(4 << 10)
	if err := jsonmessage.DisplayJSONMessagesStream(io.LimitReader(made.Body, maxBuildLog), log, 0, false, nil); err != nil {
		return fmt.Errorf("build %s: %w; it printed:\n%s", n.image(), why(ctx, err), log)
	}
	took(model.StepImageBuild, start, time.Since(start), "docker build, no cache")
	return nil
}

// buildContext is a tar file with the Dockerfile and the binary.
func (n Nested) buildContext() (io.Reader, error) {
	args, err := json.Marshal(append([]string{spec.BinaryPath}, n.installArgs()...))
	if err != nil {
		return nil, fmt.Errorf("encode the install command: %w", err)
	}
	binary, err := os.ReadFile(n.Binary)
	if err != nil {
		return nil, fmt.Errorf("read the binary for the image: %w", err)
	}
	dockerfile := fmt.Sprintf("FROM %s\nCOPY nestlab %s\nRUN %s\n", n.Base, spec.BinaryPath, args)
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, f := range []struct {
		name string
		mode int64
		data []byte
	}{{"Dockerfile", 0o644, []byte(dockerfile)}, {"nestlab", 0o755, binary}} {
		err := w.WriteHeader(&tar.Header{Name: f.name, Mode: f.mode, Size: int64(len(f.data))})
		if err == nil {
			_, err = w.Write(f.data)
		}
		if err != nil {
			return nil, fmt.Errorf("pack %s for the image: %w", f.name, err)
		}
	}
	return &buf, w.Close()
}

func (n Nested) installArgs() []string {
	args := append([]string{"dind", "install"}, n.Install.Args()...)
	for _, s := range n.Install.Sources {
		args = append(args, "--source", s)
	}
	return args
}

// install puts Docker into the running container and starts the daemon.
func (n Nested) install(ctx context.Context, c *Container, took session.Took) error {
	start := time.Now()
	if err := n.runInstall(ctx, c); err != nil {
		return fmt.Errorf("install Docker in %s: %w", c.At, err)
	}
	took(model.StepInstall, start, time.Since(start), "")
	served := time.Now()
	made, err := c.api.ContainerExecCreate(ctx, c.id, container.ExecOptions{
		Cmd: n.serve(),
	})
	if err == nil {
		err = c.api.ContainerExecStart(ctx, made.ID, container.ExecStartOptions{Detach: true})
	}
	if err != nil {
		return fmt.Errorf("start the daemon in %s: %w", c.At, err)
	}
	return n.ready(ctx, served, took)
}

func (n Nested) runInstall(ctx context.Context, c *Container) error {
	ctx, cancel := n.within(ctx)
	defer cancel()
	log := tail.New(4 << 10)
	code, err := c.Exec(ctx, session.Command{Args: n.installArgs(), Stdout: log, Stderr: log})
	switch {
	case err != nil:
		return fmt.Errorf("%w; it printed:\n%s", why(ctx, err), log)
	case code != 0:
		return fmt.Errorf("it ended with %d and printed:\n%s", code, log)
	}
	return nil
}

// ready waits for the nested daemon's API and runs a first container.
func (n Nested) ready(ctx context.Context, since time.Time, took session.Took) error {
	ctx, cancel := context.WithTimeout(ctx, 2*n.patience())
	defer cancel()
	api, err := Dial(n.socket())
	if err != nil {
		return err
	}
	defer api.Close()
	_, err = backoff.Retry(ctx, func() (struct{}, error) {
		_, err := api.Ping(ctx)
		if err == nil {
			return struct{}{}, nil
		}
		if failed, known, readErr := readFailure(n.Dir); known || readErr != nil {
			return struct{}{}, backoff.Permanent(errors.Join(failed, readErr)) // nobody starts it again
		}
		return struct{}{}, err
	}, backoff.WithBackOff(backoff.NewConstantBackOff(50*time.Millisecond)), backoff.WithMaxElapsedTime(n.patience()))
	if err != nil {
		return n.notReady(err)
	}
	took(model.StepDaemonReady, since, time.Since(since), "")
	first := time.Now()
	if err := RunOnce(ctx, api, n.First); err != nil {
		return fmt.Errorf("run a first container: %w", err)
	}
	took(model.StepFirstContainer, first, time.Since(first), "pull included")
	return nil
}

// notReady says why the nested daemon does not answer, with the end of its log.
func (n Nested) notReady(err error) error {
	path := filepath.Join(n.Dir, logName)
	why := fmt.Errorf("wait for the nested daemon's API on %s: %w; the end of %s:\n%s", n.socket(), err, path, tail.File(path, 2<<10))
	failed := (*session.DaemonError)(nil)
	if errors.As(err, &failed) {
		return &session.DaemonError{Daemon: failed.Daemon, Err: why}
	}
	return silent("dockerd", path, why)
}
