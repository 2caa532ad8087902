package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

const (
	refName      = "org.opencontainers.image.ref.name"
	description  = "org.opencontainers.image.description"
	standInLabel = "io.github.nestlab.stands-in-for"
	plainPath    = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	// sdkRef is the name that the engine's builtin content has in the layout.
	sdkRef = "dagger/sdk-go:" + daggerVersion
)

// image is one image of the mirror; tags share what it holds.
type image struct {
	tags    []string
	layers  []string // tar files, relative to the cache
	env     []string
	workdir string
	labels  map[string]string
}

// catalogue is what the mirror serves. All of it is Debian, and whatever has
// another name says so in its labels.
func catalogue(g goSettings) []image {
	debian := func(name string) map[string]string {
		return map[string]string{
			description:  "Debian " + suite + " built by mmdebstrap, standing in for " + name,
			standInLabel: name,
		}
	}
	base := []string{"roots/base.tar"}
	return []image{
		{tags: []string{"library/debian:bookworm", "library/debian:bookworm-slim", "library/debian:12", "library/debian:latest"},
			layers: base, env: []string{plainPath}, workdir: "/", labels: debian("debian:bookworm")},
		{tags: []string{"library/ubuntu:24.04"},
			layers: base, env: []string{plainPath}, workdir: "/", labels: debian("ubuntu:24.04")},
		{tags: []string{sdkRef, "library/golang:1", "library/golang:1-bookworm"},
			layers: []string{"roots/engine.tar", "sdk/layer.tar"}, env: sdkEnv(g), workdir: "/go", labels: debian("golang:1-bookworm")},
	}
}

// store is the recipe of the OCI layout with all images.
func (c cache) store(g goSettings, digests ...string) artifact {
	key := append([]string{"store 1"}, digests...)
	for _, i := range catalogue(g) {
		key = append(key, fmt.Sprint(i))
	}
	return artifact{
		name:  "images",
		title: "lay out the images",
		paths: []string{"images"},
		key:   recipe(key...),
		build: func(_ context.Context, tmp string) error {
			to, err := layout.Write(filepath.Join(tmp, "images"), empty.Index)
			if err != nil {
				return err
			}
			for _, i := range catalogue(g) {
				if err := c.addImage(to, i, g.GOARCH); err != nil {
					return fmt.Errorf("add %s: %w", i.tags[0], err)
				}
			}
			return nil
		},
	}
}

func (c cache) addImage(to layout.Path, i image, arch string) error {
	img := mutate.MediaType(empty.Image, types.OCIManifestSchema1)
	img = mutate.ConfigMediaType(img, types.OCIConfigJSON)
	for _, l := range i.layers {
		layer, err := linkLayer(to, c.path(l))
		if err != nil {
			return err
		}
		if img, err = mutate.AppendLayers(img, layer); err != nil {
			return err
		}
	}
	config, err := img.ConfigFile()
	if err != nil {
		return err
	}
	config = config.DeepCopy()
	config.Architecture, config.OS = arch, "linux"
	config.Config = v1.Config{Env: i.env, WorkingDir: i.workdir, Cmd: []string{"/bin/bash"}, Labels: i.labels}
	if img, err = mutate.ConfigFile(img, config); err != nil {
		return err
	}
	for _, tag := range i.tags {
		if err := to.AppendImage(img, layout.WithAnnotations(map[string]string{refName: tag})); err != nil {
			return err
		}
	}
	return nil
}

// tarLayer is an uncompressed layer: it is read from the same disk, so packing
// it would only cost time. go-containerregistry's own tar layers always pack.
type tarLayer struct {
	path string
	hash v1.Hash
	size int64
}

func (l tarLayer) Digest() (v1.Hash, error)             { return l.hash, nil }
func (l tarLayer) DiffID() (v1.Hash, error)             { return l.hash, nil }
func (l tarLayer) Size() (int64, error)                 { return l.size, nil }
func (l tarLayer) MediaType() (types.MediaType, error)  { return types.OCIUncompressedLayer, nil }
func (l tarLayer) Compressed() (io.ReadCloser, error)   { return os.Open(l.path) }
func (l tarLayer) Uncompressed() (io.ReadCloser, error) { return os.Open(l.path) }

// linkLayer makes a tar file a blob of the layout, without a second copy of it.
func linkLayer(to layout.Path, tar string) (v1.Layer, error) {
	info, err := os.Stat(tar)
	if err != nil {
		return nil, err
	}
	digest, err := fileDigest(tar)
	if err != nil {
		return nil, err
	}
	l := tarLayer{tar, v1.Hash{Algorithm: "sha256", Hex: digest}, info.Size()}
	blobs := filepath.Join(string(to), "blobs", "sha256")
	if err := os.MkdirAll(blobs, 0o755); err != nil {
		return nil, err
	}
	// Where links cannot be made, the layout copies the layer itself.
	if err := os.Link(tar, filepath.Join(blobs, digest)); err != nil && !errors.Is(err, os.ErrExist) && !linksRefused(err) {
		return nil, err
	}
	return l, nil
}

// references are the images of a layout by name, such as library/debian:bookworm.
func references(dir string) (map[string]v1.Descriptor, error) {
	index, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		return nil, fmt.Errorf("open the images in %s: %w", dir, err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		return nil, fmt.Errorf("read the images in %s: %w", dir, err)
	}
	out := map[string]v1.Descriptor{}
	for _, d := range manifest.Manifests {
		if name := d.Annotations[refName]; strings.Contains(name, ":") {
			out[name] = d
		}
	}
	return out, nil
}

// linksRefused tells that a file system does not do hard links here.
func linksRefused(err error) bool {
	return errors.Is(err, syscall.EXDEV) || errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOTSUP) || errors.Is(err, syscall.EMLINK)
}
