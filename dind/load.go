package dind

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/docker/docker/client"
	"github.com/docker/docker/pkg/jsonmessage"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// loadImages loads the images of a directory (see spec.DockerImages) that the daemon has not
// got, and says what it did about each.
func loadImages(ctx context.Context, host, dir string, say func(format string, args ...any)) (err error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look for images to load: %w", err)
	}
	api, err := Dial(host)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, api.Close()) }()
	for _, e := range entries {
		ref, err := os.ReadFile(filepath.Join(dir, e.Name(), "ref"))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("read the name of an image to load: %w", err)
		}
		a := archive{path: filepath.Join(dir, e.Name(), "image.tar")}
		if ref := strings.TrimSpace(string(ref)); ref != "" {
			a.refs = []string{ref}
		}
		if err := a.load(ctx, api, say); err != nil {
			return err
		}
	}
	return nil
}

// archive is an image as docker save and most builders write it.
type archive struct {
	path string
	refs []string // what it is to be called; empty for its own names
	id   string   // of its contents
}

// read finds what is in the archive.
func (a *archive) read() error {
	manifest, err := tarball.LoadManifest(func() (io.ReadCloser, error) { return os.Open(a.path) })
	if err != nil {
		return fmt.Errorf("read the image to load (give an archive as docker save writes it): %w", err)
	}
	if len(manifest) != 1 {
		return fmt.Errorf("read the image to load: the archive has %d images: give one each", len(manifest))
	}
	if len(a.refs) == 0 {
		a.refs = manifest[0].RepoTags
	}
	// The file of the configuration is blobs/sha256/HEX, HEX.json or sha256:HEX.
	hex := strings.TrimPrefix(strings.TrimSuffix(filepath.Base(manifest[0].Config), ".json"), "sha256:")
	a.id = "sha256:" + hex
	return nil
}

func (a *archive) load(ctx context.Context, api *client.Client, say func(format string, args ...any)) error {
	if err := a.read(); err != nil {
		return err
	}
	name := strings.Join(a.refs, ", ")
	if has, err := a.isThere(ctx, api); err != nil {
		return err
	} else if has {
		say("image %s: there already (%.19s)", name, a.id)
		return nil
	}
	f, err := os.Open(a.path)
	if err != nil {
		return fmt.Errorf("open the image to load: %w", err)
	}
	defer f.Close()
	answer, err := api.ImageLoad(ctx, f)
	if err != nil {
		return fmt.Errorf("load the image %s: %w", name, err)
	}
	defer answer.Body.Close()
	if err := jsonmessage.DisplayJSONMessagesStream(io.LimitReader(answer.Body, maxBuildLog), io.Discard, 0, false, nil); err != nil {
		return fmt.Errorf("load the image %s: %w", name, err)
	}
	for _, ref := range a.refs {
		if err := api.ImageTag(ctx, a.id, ref); err != nil {
			return fmt.Errorf("name the loaded image %s: %w", ref, err)
		}
	}
	say("image %s: loaded (%.19s)", name, a.id)
	return nil
}

// isThere reports whether the daemon has the image by all of its names.
func (a *archive) isThere(ctx context.Context, api *client.Client) (bool, error) {
	image, err := api.ImageInspect(ctx, a.id)
	if errdefs.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("ask the daemon for the image %.19s: %w", a.id, err)
	}
	for _, ref := range a.refs {
		named, err := reference.ParseNormalizedNamed(ref)
		if err != nil {
			return false, fmt.Errorf("read the name %.200q of an image to load: %w", ref, err)
		}
		if !slices.Contains(image.RepoTags, reference.FamiliarString(reference.TagNameOnly(named))) {
			return false, nil
		}
	}
	return true, nil
}
