//go:build e2e

package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/testbed/await"
)

// inRunner is a call of the runner's container with the tests of a package in it;
// runner are arguments of that call.
func inRunner(t *testing.T, tests string, runner ...string) []string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "real.test")
	build := exec.CommandContext(t.Context(), "go", "test", "-c", "-tags", "e2e", "-o", binary, tests)
	build.Dir = root(t)
	build.Env = append(os.Environ(), "CGO_ENABLED=0") // it runs in guests too, whatever libc they have
	out, err := build.CombinedOutput()
	require.NoError(t, err, string(out))
	return append(append([]string{"runner"}, runner...),
		"with-mounted-temp", "--path", "/var/lib/nestlab-simulate",
		"with-file", "--path", "/opt/real.test", "--source", binary,
		"with-env-variable", "--name", "NOW", "--value", time.Now().String(),
	)
}

// testInRunner runs the tests of a package in the simulated runner, those that a flag of
// Go's tests selects. Those that fail are told of last and whole: what others print after
// them is long. They have the time that is left here, less what it takes to tell of it.
func testInRunner(t *testing.T, tests, selected string, runner ...string) {
	t.Helper()
	args := "nestlab,world,run,--state,/var/lib/nestlab-simulate,--,/opt/real.test,-test.v," + selected
	if end := await.Deadline(t); !end.IsZero() {
		args += ",-test.timeout," + (time.Until(end) - time.Minute).String()
	}
	out, stderr, err := try(t, append(inRunner(t, tests, runner...), "with-exec", "--insecure-root-capabilities", "--args", args, "stdout")...)
	require.NoError(t, err, "%s\nthe tests that failed:\n%s", tail(stderr), failing(stderr))
	t.Log(out)
	require.Contains(t, out, "\nPASS")
}

// begins and ends are the lines of Go's tests, not of their subtests.
var (
	begins = regexp.MustCompile(`=== RUN   ([^/\s]+)$`)
	ends   = regexp.MustCompile(`(?:^|\| |\t)--- (PASS|FAIL|SKIP): ([^/\s]+) `)
)

// failing is what Go's verbose output, which a log may have more than once, has of the
// tests that failed or did not end.
func failing(log string) string {
	var found, part, names []string
	name := ""
	keep := func() {
		if name != "" && !slices.Contains(names, name) {
			names = append(names, name)
			found = append(found, part...)
		}
		name, part = "", nil
	}
	for line := range strings.Lines(log) {
		if m := begins.FindStringSubmatch(strings.TrimRight(line, "\r\n")); m != nil {
			keep()
			name = m[1]
		}
		if name == "" {
			continue
		}
		part = append(part, line)
		// What fails may have a panic after that line.
		if m := ends.FindStringSubmatch(line); m != nil && m[2] == name && m[1] != "FAIL" {
			name, part = "", nil
		}
	}
	keep()
	return strings.Join(found, "")
}

func TestFailing(t *testing.T) {
	const log = `12  : [3.2s] | === RUN   TestA
12  : [3.2s] | === RUN   TestA/sub
12  : [3.3s] |     --- PASS: TestA/sub (0.10s)
12  : [3.3s] | --- PASS: TestA (0.10s)
12  : [3.3s] | === RUN   TestB
12  : [3.4s] |     b_test.go:1: red
12  : [3.4s] | --- FAIL: TestB (0.10s)
12  : [3.4s] | === RUN   TestC
12  : [3.5s] | --- PASS: TestC (0.10s)
		=== RUN   TestB
		    b_test.go:1: red
		--- FAIL: TestB (0.10s)
		=== RUN   TestD
		--- FAIL: TestD (0.00s)
		panic: at once
`
	require.Equal(t, `12  : [3.3s] | === RUN   TestB
12  : [3.4s] |     b_test.go:1: red
12  : [3.4s] | --- FAIL: TestB (0.10s)
		=== RUN   TestD
		--- FAIL: TestD (0.00s)
		panic: at once
`, failing(log))
	require.Empty(t, failing(""))
}
