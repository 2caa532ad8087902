package internet

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Image is one image available from the registry: either an archive or files.
type Image struct {
	// Reference is REPOSITORY:TAG without the registry's name, such as library/debian:bookworm.
	Reference string `json:"reference"`
	// Archive is the path of an uncompressed root filesystem tar, of a tarball
	// as `docker save` writes it, or of an OCI image layout directory.
	Archive string `json:"archive,omitempty"`
	// Files make up the one layer of an image without an archive.
	Files []File `json:"files,omitempty"`
	// Entrypoint is that of an image made of files, and Cmd that of an image
	// made of files or of a root filesystem.
	Entrypoint []string `json:"entrypoint,omitempty"`
	Cmd        []string `json:"cmd,omitempty"`
}

// File is a regular file of an image.
type File struct {
	// Path is where the image has it, absolute.
	Path string `json:"path"`
	// Source is the file to copy, on this machine.
	Source string `json:"source"`
	// Mode are the permission bits; 0 stands for 0755.
	Mode int64 `json:"mode,omitempty"`
}

// imagePath is what images made here have as PATH: Debian's.
const imagePath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// HelloReference is the smallest image of the registry.
const HelloReference = "library/hello:1"

// Hello is the image whose one file is the static nestlab binary: it prints a
// line, and so shows that an image of this registry can be pulled and run.
func Hello(binary string) Image {
	return Image{
		Reference: HelloReference, Entrypoint: []string{"/hello", "hello"},
		Files: []File{{Path: "/hello", Source: binary}},
	}
}

// ParseImage reads REPOSITORY:TAG=PATH, as the command line has it. An image
// made of a root filesystem runs bash.
func ParseImage(s string) (Image, error) {
	reference, path, found := strings.Cut(s, "=")
	if !found || path == "" {
		return Image{}, fmt.Errorf("image %q: want REPOSITORY:TAG=PATH, such as library/debian:bookworm=rootfs.tar", s)
	}
	image := Image{Reference: reference, Archive: path, Cmd: []string{"bash"}}
	if _, err := image.tag(); err != nil {
		return Image{}, err
	}
	return image, nil
}

// tag is the image's name at the simulated registry.
func (i Image) tag() (name.Tag, error) {
	tag, err := name.NewTag(Registry+"/"+i.Reference, name.StrictValidation)
	if err != nil {
		return name.Tag{}, fmt.Errorf("image reference %q: want REPOSITORY:TAG, such as library/debian:bookworm: %w", i.Reference, err)
	}
	return tag, nil
}

// build makes the image. What it has to write goes to the directory scratch.
func (i Image) build(scratch string) (v1.Image, error) {
	if i.Archive == "" {
		return i.fromFiles(scratch)
	}
	info, err := os.Stat(i.Archive)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return fromLayout(i.Archive)
	}
	saved, err := isSavedImage(i.Archive)
	if err != nil {
		return nil, err
	}
	if saved {
		return tarball.ImageFromPath(i.Archive, nil)
	}
	return i.fromLayer(i.Archive)
}

// isSavedImage tells a `docker save` tarball from a root filesystem. Only the
// headers are read.
func isSavedImage(path string) (bool, error) {
	f, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	for r := tar.NewReader(f); ; {
		header, err := r.Next()
		switch {
		case errors.Is(err, io.EOF):
			return false, nil
		case err != nil:
			return false, fmt.Errorf("read %s as an uncompressed tar: %w", path, err)
		case header.Name == "manifest.json":
			return true, nil
		}
	}
}

// fromLayout takes the first image for this architecture.
func fromLayout(dir string) (v1.Image, error) {
	index, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		return nil, err
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		return nil, err
	}
	for _, d := range manifest.Manifests {
		if d.MediaType.IsImage() && (d.Platform == nil || d.Platform.Architecture == runtime.GOARCH) {
			return index.Image(d.Digest)
		}
	}
	return nil, fmt.Errorf("the layout's index names no image for %s", runtime.GOARCH)
}

// fromFiles packs the files into a layer.
func (i Image) fromFiles(scratch string) (_ v1.Image, err error) {
	if len(i.Files) == 0 {
		return nil, fmt.Errorf("neither an archive nor files are given")
	}
	f, err := os.CreateTemp(scratch, "layer-*.tar")
	if err != nil {
		return nil, err
	}
	w := tar.NewWriter(f)
	for _, file := range i.Files {
		err = errors.Join(err, file.pack(w))
	}
	if err := errors.Join(err, w.Close(), f.Close()); err != nil {
		return nil, err
	}
	return i.fromLayer(f.Name())
}

func (f File) pack(w *tar.Writer) error {
	source, err := os.Open(f.Source)
	if err != nil {
		return err
	}
	defer source.Close()
	info, err := source.Stat()
	if err != nil {
		return err
	}
	mode := f.Mode
	if mode == 0 {
		mode = 0o755
	}
	header := &tar.Header{Name: strings.TrimPrefix(filepath.Clean(f.Path), "/"), Mode: mode, Size: info.Size(), Typeflag: tar.TypeReg}
	if err := w.WriteHeader(header); err != nil {
		return err
	}
	_, err = io.Copy(w, source)
	return err
}

// fromLayer makes a one-layer image of a tar, which stays where it is.
func (i Image) fromLayer(path string) (v1.Image, error) {
	layer, err := newFileLayer(path)
	if err != nil {
		return nil, err
	}
	image, err := mutate.AppendLayers(empty.Image, layer) // Docker's schema 2 types: every release takes them
	if err != nil {
		return nil, err
	}
	config := v1.Config{Env: []string{imagePath}, Entrypoint: i.Entrypoint, Cmd: i.Cmd, WorkingDir: "/"}
	file, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	file = file.DeepCopy()
	file.OS, file.Architecture, file.Config = "linux", runtime.GOARCH, config
	return mutate.ConfigFile(image, file)
}

// fileLayer is an uncompressed layer that stays in its file: it is read once
// for its digest and never held in memory.
type fileLayer struct {
	path   string
	digest v1.Hash
	size   int64
}

func newFileLayer(path string) (*fileLayer, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	digest, size, err := v1.SHA256(f)
	if err != nil {
		return nil, fmt.Errorf("compute the digest of %s: %w", path, err)
	}
	path, err = filepath.Abs(path)
	return &fileLayer{path: path, digest: digest, size: size}, err
}

func (l *fileLayer) Digest() (v1.Hash, error)             { return l.digest, nil }
func (l *fileLayer) DiffID() (v1.Hash, error)             { return l.digest, nil }
func (l *fileLayer) Compressed() (io.ReadCloser, error)   { return os.Open(l.path) }
func (l *fileLayer) Uncompressed() (io.ReadCloser, error) { return os.Open(l.path) }
func (l *fileLayer) Size() (int64, error)                 { return l.size, nil }

// MediaType is that of uncompressed layers: the way is short and the processors are few.
func (l *fileLayer) MediaType() (types.MediaType, error) { return types.DockerUncompressedLayer, nil }
