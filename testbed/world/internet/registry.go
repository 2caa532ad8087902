package internet

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"

	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
)

// newRegistry makes a registry that keeps its blobs in the directory state and
// already has the images.
func newRegistry(state string, images []Image) (http.Handler, error) {
	// The registry's blob store has the same form as an image layout's, so the
	// layout's writer fills it without anything passing through memory.
	store, err := layout.Write(filepath.Join(state, "registry"), empty.Index)
	if err != nil {
		return nil, fmt.Errorf("make the registry's store: %w", err)
	}
	blobs := filepath.Join(string(store), "blobs")
	handler := registry.New(
		registry.WithBlobHandler(registry.NewDiskBlobHandler(blobs)),
		registry.Logger(log.New(io.Discard, "", 0)), // requests are logged around it
	)
	for _, image := range images {
		if err := seed(handler, store, image); err != nil {
			return nil, fmt.Errorf("put image %s (%s) into the simulated registry: %w", image.Reference, image.Archive, err)
		}
	}
	return handler, nil
}

// seed stores one image and makes its tag known.
func seed(handler http.Handler, store layout.Path, image Image) error {
	tag, err := image.tag()
	if err != nil {
		return err
	}
	built, err := image.build(string(store))
	if err != nil {
		return err
	}
	if err := linkLayers(store, built); err != nil {
		return err
	}
	if err := store.WriteImage(built); err != nil {
		return err
	}
	manifest, err := built.RawManifest()
	if err != nil {
		return err
	}
	media, err := built.MediaType()
	if err != nil {
		return err
	}
	request := httptest.NewRequest(http.MethodPut, "/v2/"+tag.RepositoryStr()+"/manifests/"+tag.TagStr(), bytes.NewReader(manifest))
	request.Header.Set("Content-Type", string(media))
	answer := httptest.NewRecorder()
	handler.ServeHTTP(answer, request)
	if answer.Code != http.StatusCreated {
		return fmt.Errorf("the registry refused the manifest: %d %s", answer.Code, answer.Body)
	}
	return nil
}

// linkLayers makes layers that are files on this machine blobs of the store
// without copying them.
func linkLayers(store layout.Path, image v1.Image) error {
	layers, err := image.Layers()
	if err != nil {
		return err
	}
	for _, l := range layers {
		f, ok := l.(*fileLayer)
		if !ok {
			continue
		}
		blob := filepath.Join(string(store), "blobs", f.digest.Algorithm, f.digest.Hex)
		if err := os.MkdirAll(filepath.Dir(blob), 0o755); err != nil {
			return err
		}
		if err := os.Symlink(f.path, blob); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return nil
}
