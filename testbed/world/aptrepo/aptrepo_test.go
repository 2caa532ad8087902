package aptrepo_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/testbed/world/aptrepo"
)

// command runs a program of the machine and gives what it said.
func command(t *testing.T, name string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C", "http_proxy=", "HTTP_PROXY=")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// makeDeb makes a real package that holds one file.
func makeDeb(t *testing.T, dir, name, version, depends string) {
	t.Helper()
	root := t.TempDir()
	control := "Package: " + name + "\nVersion: " + version + "\nArchitecture: amd64\nMaintainer: nestlab <nobody@lab.test>\nDescription: a test\n"
	if depends != "" {
		control += "Depends: " + depends + "\n"
	}
	for path, content := range map[string]string{"DEBIAN/control": control, "usr/share/" + name + "/file": version} {
		path = filepath.Join(root, path)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(content), 0o644))
	}
	out, err := command(t, "dpkg-deb", "--build", "--root-owner-group", root, filepath.Join(dir, name+"_"+version+"_amd64.deb"))
	require.NoError(t, err, out)
}

// apt is an apt of its own, with nothing but the repository at url.
type apt struct {
	dir string
}

func newApt(t *testing.T, url string) apt {
	a := apt{dir: t.TempDir()}
	for _, d := range []string{"state/lists/partial", "cache/archives/partial", "etc/apt.conf.d", "etc/preferences.d"} {
		require.NoError(t, os.MkdirAll(filepath.Join(a.dir, d), 0o755))
	}
	line := "deb [arch=amd64 trusted=yes] " + url + " " + aptrepo.Suite + " " + aptrepo.Component + "\n"
	require.NoError(t, os.WriteFile(filepath.Join(a.dir, "etc/sources.list"), []byte(line), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(a.dir, "status"), nil, 0o644))
	return a
}

func (a apt) run(t *testing.T, args ...string) (string, error) {
	t.Helper()
	options := []string{
		"-o", "Dir::State=" + a.dir + "/state", "-o", "Dir::State::status=" + a.dir + "/status",
		"-o", "Dir::Cache=" + a.dir + "/cache", "-o", "Dir::Etc=" + a.dir + "/etc", "-o", "Dir::Etc::Parts=/nowhere",
		"-o", "APT::Sandbox::User=root", "-o", "APT::Architecture=amd64", "-o", "APT::Update::Error-Mode=any",
		"-o", "Acquire::http::Proxy=DIRECT", "-o", "Debug::NoLocking=1",
	}
	return command(t, "apt-get", append(options, args...)...)
}

func TestAptInstallsFromTheRepository(t *testing.T) {
	t.Parallel()
	debs, out := t.TempDir(), t.TempDir()
	makeDeb(t, debs, "nestlab-base", "1.0", "")
	makeDeb(t, debs, "nestlab-top", "2.0", "nestlab-base (>= 1.0)")
	require.NoError(t, aptrepo.Build(t.Context(), debs, out))

	server := httptest.NewServer(http.FileServer(http.Dir(out)))
	t.Cleanup(server.Close)
	a := newApt(t, server.URL)
	said, err := a.run(t, "update")
	require.NoError(t, err, said)
	require.NotContains(t, said, "W:", "no warning either")
	said, err = a.run(t, "install", "--yes", "--download-only", "nestlab-top")
	require.NoError(t, err, said)
	got, err := filepath.Glob(filepath.Join(a.dir, "cache/archives/*.deb"))
	require.NoError(t, err)
	require.Len(t, got, 2, "the dependency came too: %s", said)

	// What is there already is replaced: a new version is found.
	makeDeb(t, debs, "nestlab-base", "1.1", "")
	require.NoError(t, aptrepo.Build(t.Context(), debs, out))
	a = newApt(t, server.URL) // the old one would ask for what is newer by whole seconds
	said, err = a.run(t, "update")
	require.NoError(t, err, said)
	said, err = a.run(t, "install", "--simulate", "nestlab-base")
	require.NoError(t, err, said)
	require.Contains(t, said, "nestlab-base (1.1")
}

// apt compares the packages with the index: one that was changed is refused.
func TestAptRefusesAChangedPackage(t *testing.T) {
	t.Parallel()
	debs, out := t.TempDir(), t.TempDir()
	makeDeb(t, debs, "nestlab-base", "1.0", "")
	require.NoError(t, aptrepo.Build(t.Context(), debs, out))
	deb := filepath.Join(out, "pool", "nestlab-base_1.0_amd64.deb")
	content, err := os.ReadFile(deb)
	require.NoError(t, err)
	require.NoError(t, os.Remove(deb)) // it may be a link to the original
	require.NoError(t, os.WriteFile(deb, []byte(strings.Repeat("x", len(content))), 0o644))
	server := httptest.NewServer(http.FileServer(http.Dir(out)))
	t.Cleanup(server.Close)
	a := newApt(t, server.URL)
	said, err := a.run(t, "update")
	require.NoError(t, err, said)
	said, err = a.run(t, "install", "--yes", "--download-only", "nestlab-base")
	require.Error(t, err)
	require.Contains(t, said, "Hash Sum mismatch")
}

// A signed repository is taken with its key, and with no other.
func TestAptChecksTheSignature(t *testing.T) {
	t.Parallel()
	debs, out := t.TempDir(), t.TempDir()
	makeDeb(t, debs, "nestlab-base", "1.0", "")
	var keys []*openpgp.Entity
	for range 2 {
		key, err := openpgp.NewEntity("vendor", "", "vendor@lab.test", nil)
		require.NoError(t, err)
		keys = append(keys, key)
	}
	require.NoError(t, aptrepo.Repository{Component: "stable", Key: keys[0]}.Build(t.Context(), debs, out))
	server := httptest.NewServer(http.FileServer(http.Dir(out)))
	t.Cleanup(server.Close)
	for i, key := range keys {
		a := newApt(t, server.URL)
		ring := filepath.Join(a.dir, "key.gpg")
		f, err := os.Create(ring)
		require.NoError(t, err)
		require.NoError(t, key.Serialize(f))
		require.NoError(t, f.Close())
		line := "deb [arch=amd64 signed-by=" + ring + "] " + server.URL + " " + aptrepo.Suite + " stable\n"
		require.NoError(t, os.WriteFile(filepath.Join(a.dir, "etc/sources.list"), []byte(line), 0o644))
		said, err := a.run(t, "update")
		if i == 0 {
			require.NoError(t, err, said)
			require.NotContains(t, said, "W:")
			continue
		}
		require.Error(t, err)
		require.Contains(t, said, "NO_PUBKEY")
	}
}

func TestBuildNamesWhatItCannotDo(t *testing.T) {
	t.Parallel()
	full, empty, broken := t.TempDir(), t.TempDir(), t.TempDir()
	makeDeb(t, full, "nestlab-base", "1.0", "")
	require.NoError(t, os.WriteFile(filepath.Join(broken, "a.deb"), []byte("no package"), 0o644))
	require.ErrorContains(t, aptrepo.Build(t.Context(), empty, t.TempDir()), "no .deb file")
	require.ErrorContains(t, aptrepo.Build(t.Context(), filepath.Join(empty, "nothing"), t.TempDir()), "no .deb file")
	require.ErrorContains(t, aptrepo.Build(t.Context(), full, "/proc/nowhere"), "/proc/nowhere")
	require.ErrorContains(t, aptrepo.Build(t.Context(), broken, t.TempDir()), "a.deb")
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, aptrepo.Build(ended, full, t.TempDir()), context.Canceled)
}
