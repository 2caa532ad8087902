//go:build e2e

package real

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/canonical/lxd/shared/api"
	"github.com/stretchr/testify/require"
)

// split makes of the unified image one in two files: its metadata, and its root as a
// squashfs.
func split(t *testing.T) (metadata, root string) {
	t.Helper()
	dir := filepath.Join(scratch, "split")
	require.NoError(t, os.MkdirAll(dir, 0o755))
	metadata, root = filepath.Join(dir, "metadata.tar"), filepath.Join(dir, "root.squashfs")
	for _, args := range [][]string{
		{"tar", "-C", dir, "--exclude", "rootfs/dev/*", "-xf", filepath.Join(*assets, "lxd.tar")},
		{"tar", "-C", dir, "-cf", metadata, "metadata.yaml"},
		{"mksquashfs", filepath.Join(dir, "rootfs"), root, "-quiet", "-noI", "-noD", "-noF", "-noX"},
	} {
		out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
		require.NoError(t, err, "%v: %s", args, out)
	}
	require.NoError(t, os.RemoveAll(filepath.Join(dir, "rootfs")))
	return metadata, root
}

// An image in two files is imported, used and removed again.
func TestImageInTwoFiles(t *testing.T) {
	metadata, root := split(t)
	before := snapshot(t)
	server := connect(t)
	s := start(t, "--image", metadata, "--rootfs", root)
	s.until(t, func() bool {
		images, err := server.GetImages()
		require.NoError(t, err)
		return slices.ContainsFunc(images, func(i api.Image) bool {
			return strings.HasPrefix(i.Filename, "user.nestlab.") && strings.HasSuffix(i.Filename, ".lxd-container.metadata.tar")
		})
	})
	require.Zero(t, s.wait(t), s.stderr.String())
	run := s.run(t)
	require.Empty(t, run.Notes)
	require.Empty(t, run.GuestNotes)
	requireWhole(t, run)
	requireSame(t, before)
	require.NoError(t, os.RemoveAll(filepath.Dir(metadata)))
}
