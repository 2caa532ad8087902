package vm_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/canonical/lxd/client"
	"github.com/canonical/lxd/shared/api"
	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/vm"
)

// imageLXD keeps images as LXD does, and refuses instances. What a test does not
// expect to be called is nil, and panics.
type imageLXD struct {
	vm.Server
	mu      sync.Mutex
	images  []api.Image
	uploads int
	// meanwhile is called while an image is uploaded.
	meanwhile func()
}

func (f *imageLXD) GetInstances(api.InstanceType) ([]api.Instance, error) { return nil, nil }
func (f *imageLXD) GetOperations() ([]api.Operation, error)               { return nil, nil }

func (f *imageLXD) CreateInstance(i api.InstancesPost) (lxd.Operation, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !slices.ContainsFunc(f.images, func(x api.Image) bool { return x.Fingerprint == i.Source.Fingerprint }) {
		return nil, errors.New("Image not found")
	}
	return nil, errFull
}

func (f *imageLXD) GetImages() ([]api.Image, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.images), nil
}

// over is an operation that ended so.
type over struct {
	lxd.Operation
	err error
}

func (o over) WaitContext(context.Context) error { return o.err }
func (over) Get() (ended api.Operation)          { return }

// CreateImage says what LXD 5.0 to 6 say of an image that is there.
func (f *imageLXD) CreateImage(image api.ImagesPost, args *lxd.ImageCreateArgs) (lxd.Operation, error) {
	sum := sha256.New()
	if _, err := io.Copy(sum, args.MetaFile); err != nil {
		return nil, err
	}
	f.mu.Lock()
	f.uploads++
	f.mu.Unlock()
	f.meanwhile()
	return over{err: f.add(hex.EncodeToString(sum.Sum(nil)), image.Filename)}, nil
}

func (f *imageLXD) add(fingerprint, filename string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if slices.ContainsFunc(f.images, func(i api.Image) bool { return i.Fingerprint == fingerprint }) {
		return errors.New("Image with same fingerprint already exists")
	}
	f.images = append(f.images, api.Image{Fingerprint: fingerprint, Filename: filename})
	return nil
}

func (f *imageLXD) DeleteImage(fingerprint string) (lxd.Operation, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	before := len(f.images)
	f.images = slices.DeleteFunc(f.images, func(i api.Image) bool { return i.Fingerprint == fingerprint })
	if len(f.images) == before {
		return nil, api.StatusErrorf(http.StatusNotFound, "Image not found")
	}
	return done{}, nil
}

// imageFile is a file to import, and its fingerprint.
func imageFile(t *testing.T) (path, fingerprint string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "image.tar")
	require.NoError(t, os.WriteFile(path, []byte("an image"), 0o644))
	sum := sha256.Sum256([]byte("an image"))
	return path, hex.EncodeToString(sum[:])
}

// ofFile is an instance of an image from a file.
func ofFile(f *imageLXD, name, path string, imports *vm.Imports) *vm.Instance {
	return &vm.Instance{
		At: model.Place{Environment: model.EnvLXDContainer}, Name: name, Image: path, Imports: imports,
		Network: "lxdbr0", Pool: "default", Ready: time.Minute,
		Connect: func(context.Context) (vm.Server, error) { return f, nil },
	}
}

// Lanes are started side by side: an image is imported once, and stays until
// nobody uses it any more.
func TestOneImportForAll(t *testing.T) {
	t.Parallel()
	path, print := imageFile(t)
	f := &imageLXD{meanwhile: func() { time.Sleep(100 * time.Millisecond) }}
	var imports vm.Imports
	var all []*vm.Instance
	ended := make(chan error)
	for _, name := range []string{"nestlab-a", "nestlab-b", "nestlab-c"} {
		i := ofFile(f, name, path, &imports)
		all = append(all, i)
		go func() { ended <- i.Start(t.Context(), took(new([]timing))) }()
	}
	for range all {
		require.ErrorIs(t, <-ended, errFull, "the image is not available")
	}
	require.Equal(t, 1, f.uploads)
	for _, i := range all {
		require.Len(t, f.images, 1, "it is still used")
		require.Equal(t, print, f.images[0].Fingerprint)
		require.NoError(t, i.Stop(t.Context()))
	}
	require.Empty(t, f.images)
}

// An image that somebody else put in meanwhile is used, and stays.
func TestImportedMeanwhile(t *testing.T) {
	t.Parallel()
	path, print := imageFile(t)
	f := &imageLXD{}
	f.meanwhile = func() { require.NoError(t, f.add(print, "of-somebody-else.tar")) }
	i := ofFile(f, "nestlab-a", path, nil)
	require.ErrorIs(t, i.Start(t.Context(), took(new([]timing))), errFull)
	require.NoError(t, i.Stop(t.Context()))
	require.Len(t, f.images, 1)
}

// Whoever waits for another's import still ends with its own context.
func TestImportWaitEnds(t *testing.T) {
	t.Parallel()
	path, _ := imageFile(t)
	uploading, goOn := make(chan struct{}), make(chan struct{})
	f := &imageLXD{meanwhile: func() { close(uploading); <-goOn }}
	var imports vm.Imports
	first, second := ofFile(f, "nestlab-a", path, &imports), ofFile(f, "nestlab-b", path, &imports)
	ended := make(chan error, 1)
	go func() { ended <- first.Start(t.Context(), took(new([]timing))) }()
	<-uploading
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, second.Start(ctx, took(new([]timing))), context.DeadlineExceeded)
	require.NoError(t, second.Stop(t.Context()))
	close(goOn)
	require.ErrorIs(t, <-ended, errFull)
	require.NoError(t, first.Stop(t.Context()))
	require.Empty(t, f.images)
}
