package vendorsite

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWithout(t *testing.T) {
	t.Parallel()
	require.Equal(t, "libc6 (>= 2.34), runcible", without("libc6 (>= 2.34), containerd (>= 1.4~), runc, runcible", "containerd", "runc"))
}

// The vendor's packages are Debian's by other names: the command line is one of its own, and
// what starts containers is together.
func TestRepack(t *testing.T) {
	t.Parallel()
	debs := t.TempDir()
	for name, p := range map[string]struct{ version, depends, file string }{
		"docker.io":  {"20.10.24+dfsg1-1+b6", "libc6, containerd (>= 1.4~), runc (>= 1.0), tini", "usr/bin/docker"},
		"containerd": {"1.6.20~ds1-1", "runc (>= 0.1), libc6", "usr/bin/containerd"},
		"runc":       {"1.1.5+ds1-1", "libseccomp2", "usr/sbin/runc"},
	} {
		root := t.TempDir()
		control := "Package: " + name + "\nVersion: " + p.version + "\nArchitecture: amd64\nMaintainer: x <x@lab.test>\nDepends: " + p.depends + "\nDescription: a test\n"
		for path, content := range map[string]string{"DEBIAN/control": control, p.file: name} {
			path = filepath.Join(root, path)
			require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
			require.NoError(t, os.WriteFile(path, []byte(content), 0o644))
		}
		out, err := exec.CommandContext(t.Context(), "dpkg-deb", "--root-owner-group", "--build", root, filepath.Join(debs, name+"_"+p.version+"_amd64.deb")).CombinedOutput()
		require.NoError(t, err, string(out))
	}
	dir, version, err := builder{debs: debs, work: t.TempDir()}.repack(t.Context())
	require.NoError(t, err)
	require.Equal(t, "20.10.24", version)
	for name, want := range map[string]string{
		"docker-ce":     "containerd.io, docker-ce-cli, libc6, tini",
		"docker-ce-cli": "libc6",
		"containerd.io": "libc6, libseccomp2",
	} {
		deb := filepath.Join(dir, name+"_20.10.24-1~debian.12~bookworm_amd64.deb")
		depends, err := run(t.Context(), "dpkg-deb", "--field", deb, "Depends")
		require.NoError(t, err)
		require.Equal(t, want+"\n", depends)
		full, err := run(t.Context(), "dpkg-deb", "--field", deb, "Version")
		require.NoError(t, err)
		require.Equal(t, "5:20.10.24-1~debian.12~bookworm\n", full)
	}
	files, err := run(t.Context(), "dpkg-deb", "--contents", filepath.Join(dir, "containerd.io_20.10.24-1~debian.12~bookworm_amd64.deb"))
	require.NoError(t, err)
	require.Contains(t, files, "usr/bin/containerd")
	require.Contains(t, files, "usr/sbin/runc")
}

func TestBuildNamesWhatIsMissing(t *testing.T) {
	t.Parallel()
	require.ErrorContains(t, Build(t.Context(), t.TempDir(), t.TempDir()), "give one (apt-get download docker.io)")
}
