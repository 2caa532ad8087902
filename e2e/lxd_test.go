//go:build e2e

package e2e

import (
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// inRunner is a call of the runner's container with the tests of a package in it;
// runner are arguments of that call.
func inRunner(t *testing.T, tests string, runner ...string) []string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "real.test")
	build := exec.CommandContext(t.Context(), "go", "test", "-c", "-tags", "e2e", "-o", binary, tests)
	build.Dir = root(t)
	out, err := build.CombinedOutput()
	require.NoError(t, err, string(out))
	return append(append([]string{"runner"}, runner...),
		"with-mounted-temp", "--path", "/var/lib/nestlab-simulate",
		"with-file", "--path", "/opt/real.test", "--source", binary,
		"with-env-variable", "--name", "NOW", "--value", time.Now().String(),
	)
}

// Virtual machines on a real LXD and a real QEMU, interrupted, killed and broken in
// every way: vm/real says what is tested.
func TestRealLXDAndQEMU(t *testing.T) {
	t.Parallel()
	out := call(t, append(inRunner(t, "./vm/real"), "with-exec", "--insecure-root-capabilities", "--args",
		"nestlab,world,run,--state,/var/lib/nestlab-simulate,--,/opt/real.test,-test.v", "stdout")...)
	t.Log(out)
	require.Contains(t, out, "\nPASS")
}
