package world_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/testbed/world"
	"github.com/nestlab/nestlab/testbed/world/aptrepo"
)

// The runner's apt finds the archive by its name and installs from it.
func TestAptWorksInTheRunner(t *testing.T) {
	t.Parallel()
	root, debs, repository, dir := t.TempDir(), t.TempDir(), t.TempDir(), t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(root, "DEBIAN"), 0o755))
	control := "Package: nestlab-test\nVersion: 1\nArchitecture: amd64\nMaintainer: nestlab <nobody@lab.test>\nDescription: a test\n"
	require.NoError(t, os.WriteFile(filepath.Join(root, "DEBIAN", "control"), []byte(control), 0o644))
	out, err := exec.Command("dpkg-deb", "--build", root, filepath.Join(debs, "nestlab-test_1_amd64.deb")).CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.NoError(t, aptrepo.Build(t.Context(), debs, repository))
	script := fmt.Sprintf(`
		mkdir -p %[1]s/state/lists/partial %[1]s/cache/archives/partial %[1]s/etc
		touch %[1]s/status
		echo 'deb [arch=amd64 trusted=yes] http://archive.lab.test/debian bookworm main' >%[1]s/etc/sources.list
		apt() {
			apt-get -o Dir::State=%[1]s/state -o Dir::State::status=%[1]s/status -o Dir::Cache=%[1]s/cache -o Dir::Etc=%[1]s/etc \
				-o Dir::Etc::Parts=/nowhere -o APT::Sandbox::User=root -o APT::Architecture=amd64 -o APT::Update::Error-Mode=any \
				-o Acquire::http::Proxy=DIRECT -o Debug::NoLocking=1 "$@"
		}
		apt update && apt install --yes --download-only nestlab-test && ls %[1]s/cache/archives`, dir)
	code, said := run(t, world.Config{AptRepository: repository}, "bash", "-c", script)
	require.Zero(t, code, said)
	require.Contains(t, said, "nestlab-test_1_amd64.deb")
}
