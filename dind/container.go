package dind

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/client"
	"github.com/docker/docker/pkg/jsonmessage"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/session"
	"github.com/nestlab/nestlab/spec"
)

// Label marks what nestlab made, for people who look at a daemon's containers.
const Label = "nestlab.environment"

// Container is an environment in a container of a Docker daemon: a plain one, or
// one with a daemon of its own.
type Container struct {
	At   model.Place
	With []string
	// Host is the daemon that runs it, as in DOCKER_HOST.
	Host string
	// Image is pulled unless the daemon has it.
	Image string
	// Binary is the one binary's path as the daemon sees it.
	Binary string
	// Command is the container's first process; empty for one that just holds it open.
	Command []string
	// Binds are HOST:CONTAINER[:ro], Volumes anonymous volumes.
	Binds      []string
	Volumes    []string
	Privileged bool
	// Patience is how long the daemon may take for its first answer; 0 means 20 s.
	Patience time.Duration
	// Before makes what the container needs, such as its image.
	Before func(ctx context.Context, took session.Took) error
	// After puts into the started container what makes it the environment.
	After func(ctx context.Context, c *Container, took session.Took) error

	api *client.Client
	id  string
}

// Place implements session.Environment.
func (c *Container) Place() model.Place { return c.At }

// Suites implements session.Environment.
func (c *Container) Suites() []string { return c.With }

// Dial makes a client for a daemon and speaks the newest API that both know.
func Dial(host string) (*client.Client, error) {
	api, err := client.NewClientWithOpts(client.WithHost(host), client.WithAPIVersionNegotiation())
	if err != nil {
		return nil, fmt.Errorf("make a client for the Docker daemon %s: %w", host, err)
	}
	return api, nil
}

// Start implements session.Environment.
func (c *Container) Start(ctx context.Context, took session.Took) error {
	var err error
	if c.api, err = Dial(c.Host); err != nil {
		return err
	}
	begin := time.Now()
	if c.Before != nil {
		if err := c.Before(ctx, took); err != nil {
			return err
		}
	}
	if err := c.answers(ctx); err != nil {
		return err
	}
	if err := pull(ctx, c.api, c.Image); err != nil {
		return err
	}
	started := time.Now()
	if err := c.run(ctx); err != nil {
		return err
	}
	took(model.StepStart, started, time.Since(started), "")
	if c.After == nil {
		return nil
	}
	if err := c.After(ctx, c, took); err != nil {
		return err
	}
	took(model.StepTotal, begin, time.Since(begin), "")
	return nil
}

// daemonAnswers bounds the wait for a daemon's first answer: one that is stopped takes
// connections, and would be waited for until the time of all is over.
const daemonAnswers = 20 * time.Second

// answers asks the daemon for a sign of life.
func (c *Container) answers(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(c.Patience, daemonAnswers))
	defer cancel()
	if _, err := c.api.Ping(ctx); err != nil {
		return fmt.Errorf("ask the Docker daemon %s for a sign of life: %w", c.Host, err)
	}
	return nil
}

func (c *Container) run(ctx context.Context) error {
	command := c.Command
	if len(command) == 0 {
		command = []string{spec.BinaryPath, "dind", "hold"}
	}
	volumes := map[string]struct{}{}
	for _, v := range c.Volumes {
		volumes[v] = struct{}{}
	}
	binds := c.Binds
	if c.Binary != "" {
		binds = append([]string{c.Binary + ":" + spec.BinaryPath + ":ro"}, binds...)
	}
	reap := true
	made, err := c.api.ContainerCreate(ctx, &container.Config{
		Image: c.Image, Entrypoint: command, Volumes: volumes, Labels: map[string]string{Label: c.At.Key()},
	}, &container.HostConfig{Binds: binds, Privileged: c.Privileged, Init: &reap}, nil, nil, "")
	if err != nil {
		return fmt.Errorf("make the container of %s from %s: %w", c.At, c.Image, err)
	}
	c.id = made.ID
	if err := c.api.ContainerStart(ctx, c.id, container.StartOptions{}); err != nil {
		return fmt.Errorf("start the container of %s: %w", c.At, err)
	}
	return nil
}

// Restart implements session.Restarter: it starts the same container again, as
// after a restart of its daemon.
func (c *Container) Restart(ctx context.Context) error {
	if c.After != nil {
		return fmt.Errorf("%s is not started again: what was put into it ended with its container", c.At)
	}
	timeout := 5
	if err := c.api.ContainerRestart(ctx, c.id, container.StopOptions{Timeout: &timeout}); err != nil {
		return fmt.Errorf("start the container of %s again: %w", c.At, err)
	}
	return nil
}

// Exec implements session.Environment.
func (c *Container) Exec(ctx context.Context, cmd session.Command) (int, error) {
	made, err := c.api.ContainerExecCreate(ctx, c.id, container.ExecOptions{
		Cmd:         append([]string{spec.BinaryPath}, cmd.Args...),
		AttachStdin: cmd.Stdin != nil, AttachStdout: true, AttachStderr: true,
	})
	if err != nil {
		return -1, fmt.Errorf("prepare nestlab in %s: %w", c.At, err)
	}
	stream, err := c.api.ContainerExecAttach(ctx, made.ID, container.ExecAttachOptions{})
	if err != nil {
		return -1, fmt.Errorf("start nestlab in %s: %w", c.At, err)
	}
	defer stream.Close()
	// The stream knows no context: closing it is what ends the copies.
	defer context.AfterFunc(ctx, stream.Close)()
	fed := make(chan error, 1)
	go func() {
		if cmd.Stdin == nil {
			fed <- nil
			return
		}
		_, err := io.Copy(stream.Conn, cmd.Stdin)
		fed <- errors.Join(err, stream.CloseWrite())
	}()
	if err := demux(orDiscard(cmd.Stdout), orDiscard(cmd.Stderr), stream.Reader); err != nil {
		return -1, errors.Join(ctx.Err(), fmt.Errorf("read from nestlab in %s: %w", c.At, err))
	}
	if err := ctx.Err(); err != nil {
		return -1, fmt.Errorf("nestlab in %s: %w", c.At, err)
	}
	code, err := c.ended(ctx, made.ID)
	if err == nil && code == 0 {
		err = <-fed
	}
	return code, err
}

// ended asks for the exit code. The streams can close a moment before the daemon
// takes note of the end.
func (c *Container) ended(ctx context.Context, exec string) (int, error) {
	const limit = 5 * time.Second
	code, err := backoff.Retry(ctx, func() (int, error) {
		state, err := c.api.ContainerExecInspect(ctx, exec)
		if err != nil {
			return -1, backoff.Permanent(err)
		}
		if state.Running {
			return -1, errors.New("the connection broke while it ran")
		}
		return state.ExitCode, nil
	}, backoff.WithBackOff(backoff.NewConstantBackOff(20*time.Millisecond)), backoff.WithMaxElapsedTime(limit))
	if err != nil {
		return -1, fmt.Errorf("ask how nestlab ended in %s: %w", c.At, err)
	}
	return code, nil
}

// Stop implements session.Environment.
func (c *Container) Stop(ctx context.Context) error {
	if c.api == nil {
		return nil
	}
	defer c.api.Close()
	if c.id == "" {
		return nil
	}
	err := c.api.ContainerRemove(ctx, c.id, container.RemoveOptions{Force: true, RemoveVolumes: true})
	if err != nil && !client.IsErrConnectionFailed(err) {
		return fmt.Errorf("remove the container of %s: %w", c.At, err)
	}
	return nil
}

func orDiscard(w io.Writer) io.Writer {
	if w == nil {
		return io.Discard
	}
	return w
}

// pull gets an image unless it is there.
func pull(ctx context.Context, api *client.Client, ref string) error {
	if _, err := api.ImageInspect(ctx, ref); err == nil {
		return nil
	}
	stream, err := api.ImagePull(ctx, ref, image.PullOptions{})
	if err != nil {
		return fmt.Errorf("pull %s: %w", ref, err)
	}
	defer stream.Close()
	if err := jsonmessage.DisplayJSONMessagesStream(io.LimitReader(stream, maxBuildLog), io.Discard, 0, false, nil); err != nil {
		return fmt.Errorf("pull %s: %w", ref, err)
	}
	return nil
}
