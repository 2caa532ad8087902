package dind

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/stretchr/testify/require"
)

// What an archive has is known before it is loaded.
func TestArchive(t *testing.T) {
	t.Parallel()
	image, err := random.Image(64, 1)
	require.NoError(t, err)
	id, err := image.ConfigName()
	require.NoError(t, err)
	tag, err := name.NewTag("app:dev")
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "image.tar")
	require.NoError(t, tarball.WriteToFile(path, tag, image))
	own := archive{path: path}
	require.NoError(t, own.read())
	require.Equal(t, id.String(), own.id)
	require.Equal(t, []string{"app:dev"}, own.refs)
	given := archive{path: path, refs: []string{"other:1"}}
	require.NoError(t, given.read())
	require.Equal(t, []string{"other:1"}, given.refs)

	require.NoError(t, os.WriteFile(path, []byte("no archive"), 0o644))
	require.ErrorContains(t, own.read(), "as docker save writes it")
}
