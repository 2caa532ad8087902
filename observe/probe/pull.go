package probe

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/pkg/jsonmessage"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/nestlab/nestlab/model"
)

// probeRegistryPull pulls the image after it was removed, so that the registry
// is really asked.
func probeRegistryPull(ctx context.Context, e *env, ref string) observation {
	d := e.docker
	if o, down := d.unavailable(); down {
		return o
	}
	values := map[string]string{}
	if err := d.clear(ctx, ref, e.targets.Docker.Keep, values); err != nil {
		return observation{outcome: model.Error, reason: d.classify(ctx, err, model.ReasonOther), err: err}
	}
	pullCtx, cancel := share(ctx)
	defer cancel()
	out, err := d.pull(pullCtx, ref)
	if err != nil {
		o := e.explainPull(ctx, ref, fmt.Errorf("pull %s: %w", ref, err), values)
		o.output = out
		d.missing = o.reason
		return o
	}
	d.missing = ""
	d.ours, d.image = values["before"] == "" && !e.targets.Docker.Keep, ref
	return observation{values: values, output: out}
}

// clear removes the image, unless it is to be kept or in use.
func (d *dockerState) clear(ctx context.Context, ref string, keep bool, values map[string]string) error {
	_, err := d.cli.ImageInspect(ctx, ref)
	switch {
	case cerrdefs.IsNotFound(err):
		return nil
	case err != nil:
		return fmt.Errorf("look for image %s: %w", ref, err)
	case keep:
		values["before"] = "there, and kept"
		return nil
	}
	err = d.removeImage(ctx, ref)
	if cerrdefs.IsConflict(err) {
		values["before"] = "in use, not removed"
		return nil
	}
	values["before"] = "removed"
	return err
}

func (d *dockerState) removeImage(ctx context.Context, ref string) error {
	_, err := d.cli.ImageRemove(ctx, ref, image.RemoveOptions{PruneChildren: true})
	if err != nil && !cerrdefs.IsNotFound(err) {
		return fmt.Errorf("remove image %s: %w", ref, err)
	}
	return nil
}

func (d *dockerState) pull(ctx context.Context, ref string) (string, error) {
	body, err := d.cli.ImagePull(ctx, ref, image.PullOptions{})
	if err != nil {
		return "", err
	}
	defer closeQuietly(body)
	return readStream(body)
}

// readStream reads the daemon's messages to the end. An error among them, or a
// stream that breaks off, is an error.
func readStream(r io.Reader) (string, error) {
	var out strings.Builder
	layers := layers{}
	dec := json.NewDecoder(r)
	for {
		var m jsonmessage.JSONMessage
		err := dec.Decode(&m)
		switch {
		case errors.Is(err, io.EOF):
			return out.String(), nil
		case err != nil:
			return out.String(), fmt.Errorf("read the daemon's answer: %w", err)
		case m.Error != nil:
			return out.String(), layers.failed(fmt.Errorf("the daemon says: %w", m.Error))
		}
		layers.saw(m.ID, m.Status)
		if out.Len() < 1<<20 && m.Progress == nil {
			out.WriteString(strings.TrimSpace(m.ID+" "+m.Status+m.Stream) + "\n")
		}
	}
}

// layers are those of an image, by identity, with whether they were downloaded.
type layers map[string]bool

// The states of a layer that come before it is here, and after.
var (
	layerAwaited = []string{"Pulling fs layer", "Waiting", "Downloading", "Verifying Checksum", "Retrying"}
	layerHere    = []string{"Download complete", "Extracting", "Pull complete", "Already exists"}
)

// saw takes note of a layer's state.
func (l layers) saw(id, status string) {
	switch {
	case slices.Contains(layerHere, status):
		l[id] = true
	case slices.ContainsFunc(layerAwaited, func(s string) bool { return strings.HasPrefix(status, s) }):
		l[id] = false
	}
}

// failed says of an error that came when all layers were downloaded that it is not the
// registry's: they could not be unpacked.
func (l layers) failed(err error) error {
	for _, here := range l {
		if !here {
			return err
		}
	}
	if len(l) == 0 {
		return err
	}
	return failure(model.StorageDriver, fmt.Errorf("every layer was downloaded, and could not be unpacked: %w", err))
}

// explainPull says why a pull failed. The daemon tells in words only, so the
// registry is asked from here.
func (e *env) explainPull(ctx context.Context, ref string, pullErr error, values map[string]string) observation {
	o := observation{err: pullErr, values: values}
	if cerrdefs.IsNotFound(pullErr) {
		o.reason = model.ImageNotFound
		return o
	}
	o.reason = e.docker.classify(ctx, pullErr, model.RegistryError)
	if o.reason != model.RegistryError && o.reason != model.DeadlineExceeded {
		return o
	}
	tag, err := name.ParseReference(ref)
	if err != nil {
		o.err = both(pullErr, fmt.Errorf("parse %s: %w", ref, err))
		return o
	}
	registry := tag.Context().Registry
	asked := e.fetch(ctx, e.dialer(), http.MethodGet, registry.Scheme()+"://"+registry.RegistryStr()+"/v2/")
	o.dials = asked.dials
	for k, v := range asked.values {
		values["registry_"+k] = v
	}
	// 401 is how a registry says that it wants a token: it is there.
	if asked.reason != "" && asked.values["status"] != "401" {
		o.reason = asked.reason
		o.err = both(pullErr, fmt.Errorf("asked from here: %w", asked.err))
		return o
	}
	if reason, err := e.askManifest(ctx, tag); reason != "" {
		o.reason = reason
		o.err = both(pullErr, fmt.Errorf("asked from here: %w", err))
		return o
	}
	// The registry serves. What the daemon has on its way to it may not.
	url := registry.Scheme() + "://" + registry.RegistryStr() + "/v2/"
	if proxy, failed := e.tryProxy(ctx, e.docker.proxy, url); failed.reason != "" {
		o.reason = model.ProxyFailed
		o.err = both(pullErr, fmt.Errorf("asked by its proxy: %w", failed.err))
		values["proxy"], values["proxy_reason"], values["proxy_of"] = proxy, string(failed.reason), "dockerd"
	}
	return o
}

// askManifest asks the registry whether it has the image.
func (e *env) askManifest(ctx context.Context, tag name.Reference) (model.Reason, error) {
	web, err := e.webClient(e.dialer().within(ctx))
	if err != nil {
		return model.ReasonOther, err
	}
	defer web.CloseIdleConnections()
	request, end := untimed(ctx)
	defer end()
	_, err = remote.Head(tag, remote.WithContext(request), remote.WithTransport(web.Transport))
	if err == nil {
		return "", nil
	}
	var answer *transport.Error
	if errors.As(err, &answer) {
		if answer.StatusCode == http.StatusNotFound {
			return model.ImageNotFound, err
		}
		return ClassifyStatus(answer.StatusCode), err
	}
	return classifyWeb(err), err
}
