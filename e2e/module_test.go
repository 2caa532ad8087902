//go:build e2e

package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/report"
)

func TestPlan(t *testing.T) {
	t.Parallel()
	text := call(t, "plan", "--environments", "lxd-*", "--environments", "runner")
	require.Contains(t, text, "lxd-container")
	require.Contains(t, text, "runner")
	require.NotContains(t, text, "dind")
	require.Contains(t, call(t, "plan", "--runner", "emulated", "--environments", "lxd-vm", "--scenarios", "ping"), "lxd-vm")
}

// The plan that is printed is the plan that runs.
func TestPlanRuns(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ plan, run []string }{
		{[]string{"--environments", "runner", "--environments", "qemu-user"}, []string{"simulate", "--order", "lxd-first", "--environments", "runner", "--environments", "qemu-user"}},
		{[]string{"--command", "build-time", "--internet", "simulated"}, []string{"build-time", "--internet", "simulated"}},
	} {
		run, _ := export(t, c.run...)
		require.Equal(t, call(t, append([]string{"plan"}, c.plan...)...), report.Plan(run.Plan))
	}
}

// Wrong use is one clear error that names what would be right, and no run.
func TestWrongUse(t *testing.T) {
	t.Parallel()
	targets := filepath.Join(t.TempDir(), "targets.yaml")
	require.NoError(t, os.WriteFile(targets, []byte("version: 1\nname: half\ndns: [archive.lab.test"), 0o644))
	for _, c := range []struct {
		name string
		args []string
		says []string
	}{
		{"order", []string{"simulate", "--order", "random", "table"}, []string{`"random"`, "docker-first"}},
		{"runner", []string{"plan", "--runner", "imagined"}, []string{"imagined", "namespaced, emulated"}},
		{"suite", []string{"simulate", "--docker-from", "potato", "table"}, []string{"potato", "bookworm, trixie, sid"}},
		{"environment", []string{"simulate", "--environments", "toaster", "table"}, []string{"toaster", "lxd-container"}},
		{"internet", []string{"build-time", "--internet", "dial-up", "table"}, []string{"dial-up", "simulated"}},
		{"method", []string{"runtime", "--method", "magic", "table"}, []string{"magic", "distro"}},
		{"targets", []string{"build-time", "--targets", targets, "table"}, []string{"targets", "line 2"}},
		{"platform", []string{"build-time", "--platform", "toaster", "table"}, []string{"toaster", "azure"}},
		{"retries", []string{"simulate", "--retries", "99", "table"}, []string{"99", "0 to 10"}},
		{"command", []string{"plan", "--command", "dance"}, []string{"dance", "simulate"}},
		{"no effect", []string{"build-time", "--internet", "simulated", "--inner-image", "doesnotexist:1", "check"}, []string{"--inner-image has no effect"}},
		{"driver", []string{"dind", "--storage-driver", "aufs", "service"}, []string{"aufs", "overlay2, vfs"}},
		{"pool", []string{"dind", "--address-pool", "10.1.2.3/16", "service"}, []string{"10.1.0.0/16 is the network"}},
		{"fault", []string{"simulate", "--faults", "gremlins", "table"}, []string{"gremlins", "nat-off"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, stderr, err := try(t, c.args...)
			require.Error(t, err)
			for _, s := range c.says {
				require.Contains(t, stderr, s)
			}
		})
	}
}

// The help text is what a user reads first: every argument has one.
func TestHelp(t *testing.T) {
	t.Parallel()
	for _, f := range []string{"plan", "simulate", "build-time", "runtime", "compare", "host-step", "guest", "vm", "accuracy", "dind"} {
		text := call(t, f, "--help")
		require.Contains(t, text, "dagger call "+f, "no help of %s", f)
		for _, line := range strings.Split(text, "\n") {
			if fields := strings.Fields(line); len(fields) > 0 && strings.HasPrefix(fields[0], "--") {
				require.Greater(t, len(fields), 3, "%s has no help for %s", f, fields[0])
			}
		}
	}
}
