package probe

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/docker/docker/api/types/build"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/pkg/stdcopy"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/spec/targets"
)

// removal bounds the removal of a container.
const removal = 15 * time.Second

// probeDockerRun runs a container of the pulled image and looks at what it
// printed and how it ended.
func probeDockerRun(ctx context.Context, e *env, ref string) observation {
	d := e.docker
	if o, done := d.without(ctx, ref); done {
		return o
	}
	o := observation{values: map[string]string{}}
	err := d.runContainer(ctx, e.targets.Docker, &o)
	if err != nil {
		o.err = fmt.Errorf("run a container of %s: %w", ref, err)
		o.reason = d.classify(ctx, err, model.ContainerFailed)
	}
	return o
}

func (d *dockerState) runContainer(ctx context.Context, t *targets.Docker, o *observation) error {
	status, err := d.toItsEnd(ctx, container.Config{Image: t.Image, Cmd: t.Command}, nil, o)
	if err != nil {
		return err
	}
	return judge(t, status, o.output)
}

// probeLabels mark what probes make.
var probeLabels = map[string]string{"nestlab": "probe"}

// toItsEnd runs a container until it ends, and removes it.
func (d *dockerState) toItsEnd(ctx context.Context, config container.Config, host *container.HostConfig, o *observation) (status container.WaitResponse, err error) {
	config.Labels = probeLabels
	created, err := d.cli.ContainerCreate(ctx, &config, host, nil, nil, "")
	if err != nil {
		return status, fmt.Errorf("create it: %w", err)
	}
	defer func() {
		removeCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), removal)
		defer cancel()
		if removeErr := d.cli.ContainerRemove(removeCtx, created.ID, container.RemoveOptions{Force: true, RemoveVolumes: true}); removeErr != nil {
			err = both(err, fmt.Errorf("remove container %s, which the probe has made; do it by hand: %w", created.ID, removeErr))
		}
	}()
	ended, failed := d.cli.ContainerWait(ctx, created.ID, container.WaitConditionNextExit)
	if err := d.cli.ContainerStart(ctx, created.ID, container.StartOptions{}); err != nil {
		return status, fmt.Errorf("start it: %w", err)
	}
	select {
	case status = <-ended:
	case err := <-failed:
		return status, fmt.Errorf("wait for its end: %w", err)
	}
	o.values["exit_code"] = strconv.FormatInt(status.StatusCode, 10)
	o.output, err = d.logs(ctx, created.ID)
	return status, err
}

func judge(t *targets.Docker, status container.WaitResponse, output string) error {
	if status.Error != nil {
		return fmt.Errorf("it ended with: %s", status.Error.Message)
	}
	if status.StatusCode != 0 {
		return fmt.Errorf("it ended with code %d", status.StatusCode)
	}
	if !strings.Contains(output, t.Output) {
		return fmt.Errorf("it did not print %q", t.Output)
	}
	return nil
}

func (d *dockerState) logs(ctx context.Context, id string) (string, error) {
	body, err := d.cli.ContainerLogs(ctx, id, container.LogsOptions{ShowStdout: true, ShowStderr: true})
	if err != nil {
		return "", fmt.Errorf("read its output: %w", err)
	}
	defer closeQuietly(body)
	var out bytes.Buffer
	if _, err := stdcopy.StdCopy(&out, &out, io.LimitReader(body, maxBody)); err != nil {
		return out.String(), fmt.Errorf("read its output: %w", err)
	}
	return out.String(), nil
}

// probeDockerBuild builds an image on the pulled one, with the classic builder,
// which every daemon has.
func probeDockerBuild(ctx context.Context, e *env, ref string) observation {
	d := e.docker
	if o, done := d.without(ctx, ref); done {
		return o
	}
	out, err := d.build(ctx, e.targets.Docker)
	o := observation{output: out}
	if err != nil {
		o.err = fmt.Errorf("build on %s: %w", ref, err)
		o.reason = d.classify(ctx, err, model.BuildFailed)
	}
	return o
}

func (d *dockerState) build(ctx context.Context, t *targets.Docker) (out string, err error) {
	// Each step of the classic builder leaves an image, also where a later one
	// fails; the label finds them all.
	id := strconv.FormatInt(time.Now().UnixNano(), 36)
	files, err := buildContext(t, id)
	if err != nil {
		return "", err
	}
	defer func() {
		removeCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), removal)
		defer cancel()
		err = both(err, d.removeBuilt(removeCtx, id))
	}()
	resp, err := d.cli.ImageBuild(ctx, files, build.ImageBuildOptions{
		Version: build.BuilderV1, Tags: []string{"nestlab-probe:" + id}, NoCache: true, Remove: true, ForceRemove: true,
	})
	if err != nil {
		return "", err
	}
	defer closeQuietly(resp.Body)
	return readStream(resp.Body)
}

const buildLabel = "nestlab.build"

// removeBuilt removes the images of one build: with that of its last step go
// those that it was made from.
func (d *dockerState) removeBuilt(ctx context.Context, id string) error {
	built, err := d.cli.ImageList(ctx, image.ListOptions{All: true, Filters: filters.NewArgs(filters.Arg("label", buildLabel+"="+id))})
	if err != nil {
		return fmt.Errorf("list what the build has left: %w", err)
	}
	children := map[string]int{}
	for _, i := range built {
		children[i.ParentID]++
	}
	slices.SortStableFunc(built, func(a, b image.Summary) int { return children[a.ID] - children[b.ID] })
	var errs error
	for _, i := range built {
		errs = both(errs, d.removeImage(ctx, i.ID))
	}
	return errs
}

// buildContext is the tar with the Dockerfile and the one file that it copies.
func buildContext(t *targets.Docker, id string) (io.Reader, error) {
	dockerfile := "FROM " + t.Image + "\nLABEL " + buildLabel + "=" + id + "\nCOPY nestlab.txt /nestlab.txt\n"
	if len(t.BuildRun) > 0 {
		run, err := json.Marshal(t.BuildRun)
		if err != nil {
			return nil, fmt.Errorf("write the build's RUN step: %w", err)
		}
		dockerfile += "RUN " + string(run) + "\n"
	}
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, f := range []struct{ name, text string }{{"Dockerfile", dockerfile}, {"nestlab.txt", "built by nestlab\n"}} {
		if err := w.WriteHeader(&tar.Header{Name: f.name, Mode: 0o644, Size: int64(len(f.text))}); err != nil {
			return nil, fmt.Errorf("write the build context: %w", err)
		}
		if _, err := io.WriteString(w, f.text); err != nil {
			return nil, fmt.Errorf("write the build context: %w", err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("write the build context: %w", err)
	}
	return &buf, nil
}
