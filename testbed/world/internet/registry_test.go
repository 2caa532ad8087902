package internet_test

import (
	"archive/tar"
	"bytes"
	"crypto/rand"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	ociimage "github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/testbed/world/internet"
)

// pull fetches an image as any client would and validates its manifest. Its
// layers' digests are checked when they are read.
func pull(t *testing.T, s *served, reference string) v1.Image {
	t.Helper()
	ref, err := name.ParseReference(internet.Registry + "/" + reference)
	require.NoError(t, err)
	image, err := remote.Image(ref, remote.WithTransport(s.client.Transport), remote.WithContext(t.Context()))
	require.NoError(t, err)
	require.NoError(t, validate.Image(image, validate.Fast))
	return image
}

// files lists the regular files of an image with their content.
func files(t *testing.T, image v1.Image) map[string]string {
	t.Helper()
	flat := mutate.Extract(image)
	defer flat.Close()
	out := map[string]string{}
	for r := tar.NewReader(flat); ; {
		header, err := r.Next()
		if err == io.EOF {
			return out
		}
		require.NoError(t, err)
		content, err := io.ReadAll(r)
		require.NoError(t, err)
		out[header.Name] = string(content)
	}
}

// everyKind has an image of each kind: of a binary, of a root file system with a large
// file, and the random one as it is saved and as it is laid out.
func everyKind(t *testing.T) (images []internet.Image, large []byte, random v1.Image) {
	t.Helper()
	dir := t.TempDir()
	binary, rootfs, saved, laid := filepath.Join(dir, "binary"), filepath.Join(dir, "rootfs.tar"), filepath.Join(dir, "saved.tar"), filepath.Join(dir, "layout")
	require.NoError(t, os.WriteFile(binary, []byte("an executable"), 0o600))
	large = make([]byte, 3<<20)
	_, err := rand.Read(large)
	require.NoError(t, err)
	writeTar(t, rootfs, "./etc/os-release", large)
	random, err = ociimage.Image(1024, 3)
	require.NoError(t, err)
	tag, err := name.NewTag("example.com/library/saved:1")
	require.NoError(t, err)
	require.NoError(t, tarball.WriteToFile(saved, tag, random))
	index := mutate.AppendManifests(empty.Index,
		mutate.IndexAddendum{Add: empty.Image, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "s390x"}}},
		mutate.IndexAddendum{Add: random, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: runtime.GOARCH}}})
	_, err = layout.Write(laid, index)
	require.NoError(t, err)
	return []internet.Image{
		internet.Hello(binary),
		{Reference: "library/debian:bookworm", Archive: rootfs, Cmd: []string{"bash"}},
		{Reference: "library/saved:1", Archive: saved},
		{Reference: "deep/er/laid:2", Archive: laid},
	}, large, random
}

// writeTar makes a tar with one file.
func writeTar(t *testing.T, path, name string, content []byte) {
	t.Helper()
	var all bytes.Buffer
	w := tar.NewWriter(&all)
	require.NoError(t, w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(content)), Typeflag: tar.TypeReg}))
	_, err := w.Write(content)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	require.NoError(t, os.WriteFile(path, all.Bytes(), 0o644))
}

func TestRegistryHasImagesOfEveryKind(t *testing.T) {
	t.Parallel()
	c := newConfig(t)
	images, large, random := everyKind(t)
	c.Images = images
	s := serve(t, c)

	hello := pull(t, s, "library/hello:1")
	config, err := hello.ConfigFile()
	require.NoError(t, err)
	require.Equal(t, []string{"/hello", "hello"}, config.Config.Entrypoint)
	require.Equal(t, []string{"linux", runtime.GOARCH}, []string{config.OS, config.Architecture})
	require.Equal(t, map[string]string{"hello": "an executable"}, files(t, hello))

	debian := pull(t, s, "library/debian:bookworm")
	config, err = debian.ConfigFile()
	require.NoError(t, err)
	require.Equal(t, []string{"bash"}, config.Config.Cmd)
	require.Contains(t, config.Config.Env[0], "PATH=/usr/local/sbin:")
	require.True(t, string(large) == files(t, debian)["etc/os-release"])
	media, err := debian.MediaType()
	require.NoError(t, err)
	require.Equal(t, types.DockerManifestSchema2, media, "what Docker 20.10 and all later ones take")

	want, err := random.Digest()
	require.NoError(t, err)
	got, err := pull(t, s, "deep/er/laid:2").Digest()
	require.NoError(t, err)
	require.Equal(t, want, got)
	require.Equal(t, files(t, random), files(t, pull(t, s, "library/saved:1")))
}

// A root filesystem can be large: it is neither copied nor compressed.
func TestRootFilesystemStaysWhereItIs(t *testing.T) {
	t.Parallel()
	rootfs := filepath.Join(t.TempDir(), "rootfs.tar")
	writeTar(t, rootfs, "a", make([]byte, 1<<20))
	c := newConfig(t)
	c.Images = []internet.Image{{Reference: "library/debian:bookworm", Archive: rootfs}}
	s := serve(t, c)
	layers, err := pull(t, s, "library/debian:bookworm").Layers()
	require.NoError(t, err)
	digest, err := layers[0].Digest()
	require.NoError(t, err)
	target, err := os.Readlink(filepath.Join(c.State, "registry", "blobs", digest.Algorithm, digest.Hex))
	require.NoError(t, err)
	require.Equal(t, rootfs, target)
}

// Two references to one root filesystem share its layer.
func TestImagesMayShareLayers(t *testing.T) {
	t.Parallel()
	rootfs := filepath.Join(t.TempDir(), "rootfs.tar")
	writeTar(t, rootfs, "a", []byte("b"))
	c := newConfig(t)
	c.Images = []internet.Image{{Reference: "library/a:1", Archive: rootfs}, {Reference: "library/b:1", Archive: rootfs, Cmd: []string{"sh"}}}
	s := serve(t, c)
	require.Equal(t, files(t, pull(t, s, "library/a:1")), files(t, pull(t, s, "library/b:1")))
}

func TestRegistryDoesNotHaveWhatItWasNotGiven(t *testing.T) {
	t.Parallel()
	s := serve(t, newConfig(t))
	status, body := s.get(t, "https://registry.lab.test/v2/library/nothing/manifests/1")
	require.Equal(t, http.StatusNotFound, status)
	require.Contains(t, body, "NAME_UNKNOWN")
}

func TestImagesThatAreNone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	noise := filepath.Join(dir, "rootfs.tar.gz")
	require.NoError(t, os.WriteFile(noise, bytes.Repeat([]byte{0x1f, 0x8b}, 2000), 0o644))
	for _, test := range []struct {
		name  string
		image internet.Image
		want  string
	}{
		{"compressed", internet.Image{Reference: "library/a:1", Archive: noise}, "uncompressed tar"},
		{"nothing", internet.Image{Reference: "library/a:1"}, "neither an archive nor files"},
		{"no file", internet.Image{Reference: "library/a:1", Files: []internet.File{{Path: "/a", Source: "/nowhere/a"}}}, "/nowhere/a"},
		{"no layout", internet.Image{Reference: "library/a:1", Archive: dir}, "index.json"},
		{"no tag", internet.Image{Reference: "library/a", Archive: noise}, "want REPOSITORY:TAG"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := newConfig(t)
			c.Images = []internet.Image{test.image}
			require.ErrorContains(t, internet.Serve(t.Context(), c), test.want)
		})
	}
}

func TestParseImage(t *testing.T) {
	t.Parallel()
	image, err := internet.ParseImage("library/debian:bookworm=/a/b=c.tar")
	require.NoError(t, err)
	require.Equal(t, internet.Image{Reference: "library/debian:bookworm", Archive: "/a/b=c.tar", Cmd: []string{"bash"}}, image)
	for _, bad := range []string{"", "=", "a", "library/a:1", "library/a:1=", "=/a.tar", "library/a=/a.tar", "UPPER/a:1=/a.tar", "a b:1=/a.tar"} {
		_, err := internet.ParseImage(bad)
		require.Error(t, err, "%q", bad)
	}
}

func FuzzParseImage(f *testing.F) {
	for _, seed := range []string{"library/a:1=/a.tar", "=", "a:1=b", "x/../y:1=/z", "registry.lab.test/a:1=/b"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		image, err := internet.ParseImage(s)
		if err != nil {
			return
		}
		require.Equal(t, s, image.Reference+"="+image.Archive, "nothing is lost")
		_, err = name.NewTag(internet.Registry+"/"+image.Reference, name.StrictValidation)
		require.NoError(t, err)
	})
}
