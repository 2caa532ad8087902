package dind

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/client"
	"github.com/docker/docker/pkg/jsonmessage"
	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/nestlab/nestlab/spec"
)

// OnHost runs this binary on the machine of a Docker daemon, in a container with that
// machine's namespaces: of the image it has nothing but the binary, and no registry is asked.
type OnHost struct {
	// Host is the daemon, as in DOCKER_HOST.
	Host string
	// Args are nestlab's, Input is for its standard input.
	Args           []string
	Input          []byte
	Stdout, Stderr io.Writer
}

const (
	// onHostLabel marks the images, and onHostImage names them.
	onHostLabel = "nestlab.on-host"
	onHostImage = "nestlab-on-host"
	// forgotten is when an image is one that a killed run has left.
	forgotten = time.Hour
	// revertWithin is how long what was interrupted may take to revert what it changed.
	revertWithin = 90
	// removeWithin bounds what is removed at the end.
	removeWithin = 2 * time.Minute
)

// Run does it, and returns the exit code.
func (o OnHost) Run(ctx context.Context) (code int, err error) {
	api, err := Dial(o.Host)
	if err != nil {
		return -1, err
	}
	defer func() { err = errors.Join(err, api.Close()) }()
	if _, err := api.Ping(ctx); err != nil {
		return -1, fmt.Errorf("ask the Docker daemon of the host: %w; give the socket of one that runs, such as /var/run/docker.sock", err)
	}
	later, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	if err := sweepImages(ctx, api); err != nil {
		return -1, err
	}
	ref, err := importBinary(ctx, api)
	if err != nil {
		return -1, err
	}
	defer func() {
		late, cancel := context.WithTimeout(later, removeWithin)
		defer cancel()
		if _, failed := api.ImageRemove(late, ref, image.RemoveOptions{Force: true}); failed != nil && !errdefs.IsNotFound(failed) {
			err = errors.Join(err, fmt.Errorf("remove the image %s: %w", ref, failed))
		}
	}()
	made, err := api.ContainerCreate(ctx, &container.Config{
		Image: ref, Entrypoint: append([]string{spec.BinaryPath, "on-host", "hold", "--input", strconv.Itoa(len(o.Input)), "--"}, o.Args...), OpenStdin: true, StdinOnce: true,
		AttachStdin: true, AttachStdout: true, AttachStderr: true, Labels: map[string]string{onHostLabel: ""}, WorkingDir: "/",
		Env: []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/snap/bin:/run/current-system/sw/bin", "HOME=/root"},
	}, &container.HostConfig{
		Privileged: true, PidMode: "host", NetworkMode: "host", IpcMode: "host", UTSMode: "host", UsernsMode: "host", CgroupnsMode: "host",
		// What a killed run leaves ends with its connection, and goes.
		AutoRemove: true, LogConfig: container.LogConfig{Type: "none"},
	}, nil, nil, "")
	if err != nil {
		return -1, fmt.Errorf("make a container on the host: %w", err)
	}
	defer func() {
		late, cancel := context.WithTimeout(later, removeWithin)
		defer cancel()
		if failed := api.ContainerRemove(late, made.ID, container.RemoveOptions{Force: true, RemoveVolumes: true}); failed != nil && !errdefs.IsNotFound(failed) && !errdefs.IsConflict(failed) {
			err = errors.Join(err, fmt.Errorf("remove the container %.12s: %w", made.ID, failed))
		}
	}()
	return o.carry(ctx, later, api, made.ID)
}

// carry starts the container and passes what is said to its end, which an end of the context
// asks for: what runs there reverts first what it has changed.
func (o OnHost) carry(ctx, later context.Context, api *client.Client, id string) (int, error) {
	stream, err := api.ContainerAttach(later, id, container.AttachOptions{Stream: true, Stdin: true, Stdout: true, Stderr: true})
	if err != nil {
		return -1, fmt.Errorf("attach to the container on the host: %w", err)
	}
	defer stream.Close()
	ended, failed := api.ContainerWait(later, id, container.WaitConditionNextExit)
	if err := api.ContainerStart(ctx, id, container.StartOptions{}); err != nil {
		return -1, fmt.Errorf("start the container on the host: %w", err)
	}
	stop := context.AfterFunc(ctx, func() {
		seconds := revertWithin
		// One that has ended by now is what was wanted; else the end is waited for below.
		_ = api.ContainerStop(later, id, container.StopOptions{Timeout: &seconds})
	})
	defer stop()
	// It stays open: its end is the end of this program, which ends what runs there.
	go func() { _, _ = stream.Conn.Write(o.Input) }() // who does not read to the end needs no more
	var said errgroup.Group
	said.Go(func() error { return demux(orDiscard(o.Stdout), orDiscard(o.Stderr), stream.Reader) })
	select {
	case end := <-ended:
		if end.Error != nil {
			return -1, fmt.Errorf("wait for nestlab on the host: %s", end.Error.Message)
		}
		_ = stream.CloseWrite() // the daemon waits for the end of both directions
		if err := said.Wait(); err != nil {
			return -1, fmt.Errorf("read from nestlab on the host: %w", err)
		}
		return int(end.StatusCode), context.Cause(ctx)
	case err := <-failed:
		return -1, fmt.Errorf("wait for nestlab on the host: %w", err)
	}
}

// importBinary makes an image of this binary, and returns its name.
func importBinary(ctx context.Context, api *client.Client) (ref string, err error) {
	ref = onHostImage + ":" + uuid.NewString()
	r, w := io.Pipe()
	go func() { _ = w.CloseWithError(packBinary(w)) }() // never fails
	answer, err := api.ImageImport(ctx, image.ImportSource{Source: r, SourceName: "-"}, ref, image.ImportOptions{Changes: []string{"LABEL " + onHostLabel + "="}})
	if err != nil {
		return "", fmt.Errorf("give the host this binary as an image: %w", errors.Join(err, r.Close()))
	}
	defer func() { err = errors.Join(err, answer.Close()) }()
	if err := jsonmessage.DisplayJSONMessagesStream(io.LimitReader(answer, maxBuildLog), io.Discard, 0, false, nil); err != nil {
		return "", fmt.Errorf("give the host this binary as an image: %w", err)
	}
	return ref, nil
}

func packBinary(w io.Writer) error {
	self, err := os.Open("/proc/self/exe")
	if err != nil {
		return fmt.Errorf("open this binary: %w", err)
	}
	defer self.Close()
	info, err := self.Stat()
	if err != nil {
		return fmt.Errorf("look at this binary: %w", err)
	}
	t := tar.NewWriter(w)
	err = t.WriteHeader(&tar.Header{Name: spec.BinaryPath[1:], Mode: 0o755, Size: info.Size()})
	if err == nil {
		_, err = io.Copy(t, self)
	}
	return errors.Join(err, t.Close())
}

// sweepImages removes what killed runs have left: their containers are gone by then.
func sweepImages(ctx context.Context, api *client.Client) error {
	all, err := api.ImageList(ctx, image.ListOptions{Filters: filters.NewArgs(filters.Arg("label", onHostLabel))})
	if err != nil {
		return fmt.Errorf("list the images on the host: %w", err)
	}
	for _, i := range all {
		if time.Since(time.Unix(i.Created, 0)) < forgotten {
			continue
		}
		if _, err := api.ImageRemove(ctx, i.ID, image.RemoveOptions{Force: true}); err != nil && !errdefs.IsNotFound(err) && !errdefs.IsConflict(err) {
			return fmt.Errorf("remove the image %s: %w", i.ID, err)
		}
	}
	return nil
}

// EnterHost has the calling thread, which is its process' first and only one to go on, see
// the files of the first process that it sees.
func EnterHost() error {
	root, err := os.Open("/proc/1/root")
	if err == nil {
		defer root.Close()
		var files *os.File
		if files, err = os.Open("/proc/1/ns/mnt"); err == nil {
			defer files.Close()
			err = unix.Unshare(unix.CLONE_FS)
			if err == nil {
				err = unix.Setns(int(files.Fd()), unix.CLONE_NEWNS)
			}
		}
	}
	if err == nil {
		err = unix.Fchdir(int(root.Fd()))
	}
	if err == nil {
		err = unix.Chroot(".")
	}
	if err != nil {
		return fmt.Errorf("enter the host's files: %w; a rootless Docker's host cannot be entered: run nestlab on the machine itself", err)
	}
	return nil
}
