package diagnose_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/diagnose"
	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/model/modeltest"
)

// TestNoSpaceIsHeldAgainstTheFigures: a disk is full where its figures allow that, and a limit
// of the kernel is reached where they do not.
func TestNoSpaceIsHeldAgainstTheFigures(t *testing.T) {
	t.Parallel()
	const write, bare = "write /var/lib/docker/tmp/GetImageBlob1: no space left on device", "start it: no space left on device"
	for _, test := range []struct {
		says, words string
		disk        model.Disk
		cause       string
	}{
		{"little is free", bare, model.Disk{SizeMB: 70000, FreeMB: 10}, diagnose.CauseDiskFull},
		{"much is free", bare, model.Disk{SizeMB: 70000, FreeMB: 9000, Inodes: 1 << 20, FreeInodes: 1 << 19}, diagnose.CauseKernelLimit},
		{"no inodes are", bare, model.Disk{SizeMB: 70000, FreeMB: 9000, Inodes: 1 << 20}, diagnose.CauseDiskFull},
		{"a large file may not fit", write, model.Disk{SizeMB: 70000, FreeMB: 700}, diagnose.CauseDiskFull},
		{"not even a large file is too large", write, model.Disk{SizeMB: 70000, FreeMB: 30000}, diagnose.CauseKernelLimit},
	} {
		test.disk.Path = "/var/lib/docker"
		run := in([]model.Place{modeltest.Runner}, on(model.ProbeDockerRun, func(r *model.Result) {
			fails(model.DiskFull)(r)
			r.Detail.Message = test.words
		}))
		factsOf(&run, modeltest.Runner).Disks = []model.Disk{test.disk}
		d := diagnose.Diagnose(run)
		require.Equal(t, test.cause, d.Cause, "%s: %s", test.says, d.Summary)
		require.Empty(t, d.Further, d.Summary)
		requireResolved(t, run, d)

		// The data of a nested daemon that did not start are on the runner's disk.
		run = lostStart(modeltest.DindRun, "run a first container: "+test.words)
		run.Facts = without2(run.Facts, modeltest.DindRun)
		factsOf(&run, modeltest.Runner).Disks = []model.Disk{test.disk}
		require.Equal(t, test.cause, diagnose.Diagnose(run).Cause, test.says)
	}
}

// TestALimitThatStopsAMachine: not only daemons run into them.
func TestALimitThatStopsAMachine(t *testing.T) {
	t.Parallel()
	run := lostStart(modeltest.LXDContainer, "start the instance: Failed to run: forkstart: clone: no space left on device")
	require.Equal(t, diagnose.CauseKernelLimit, diagnose.Diagnose(run).Cause)
	run = lostStart(modeltest.LXDContainer, "make the instance: mkdir x: no space left on device")
	require.Equal(t, diagnose.CauseDiskFull, diagnose.Diagnose(run).Cause)
	factsOf(&run, modeltest.Runner).Disks = []model.Disk{{Path: "/var/lib/docker", FreeMB: 50000}, {Path: "/", FreeMB: 9}}
	require.Equal(t, diagnose.CauseDiskFull, diagnose.Diagnose(run).Cause, "one of them has no room")
	factsOf(&run, modeltest.Runner).Disks[1].FreeMB = 9000
	require.Equal(t, diagnose.CauseKernelLimit, diagnose.Diagnose(run).Cause)
	run = lostStart(modeltest.DindRun, "dockerd ended by itself: exit status 1: write /var/lib/docker/x: disk quota exceeded")
	require.Equal(t, diagnose.CauseKernelLimit, diagnose.Diagnose(run).Cause)
}

// TestOldClientsAreNoted: a daemon whose oldest API is a recent one.
func TestOldClientsAreNoted(t *testing.T) {
	t.Parallel()
	run := full()
	for oldest, noted := range map[string]bool{"": false, "1.12": false, "1.24": false, "1.44": true, "x": false} {
		*factsOf(&run, modeltest.Runner).Docker = model.DockerFacts{Version: "29.0.1", API: "1.52", MinAPI: oldest}
		d := diagnose.Diagnose(run)
		require.Equal(t, model.Healthy, d.Verdict)
		const note = "Docker 29.0.1 in runner refuses clients that speak an API older than 1.44."
		if noted {
			require.Contains(t, d.Summary, note)
		} else {
			require.NotContains(t, d.Summary, "refuses clients", oldest)
		}
	}
}

// without2 are the facts but those of a place.
func without2(all []model.Facts, p model.Place) []model.Facts {
	var left []model.Facts
	for _, f := range all {
		if f.Place != p {
			left = append(left, f)
		}
	}
	return left
}

// TestALimitIsNamedWithItsFigure: what facts say of limits stands beside what was said.
func TestALimitIsNamedWithItsFigure(t *testing.T) {
	t.Parallel()
	run := fixtures()[diagnose.CauseKernelLimit]()
	used := uint64(3)
	for i := range run.Facts {
		run.Facts[i].Limits = []model.Limit{{Name: "user.max_net_namespaces"}, {Name: "cgroup.max.descendants", Max: 3, Used: &used}, {Name: "pids.max", Max: 9, Used: &used}}
	}
	d := diagnose.Diagnose(run)
	require.Equal(t, diagnose.CauseKernelLimit, d.Cause)
	require.Contains(t, evidenceText(d), "user.max_net_namespaces is 0 in runner")
	require.Contains(t, evidenceText(d), "cgroup.max.descendants is 3 in runner, of which 3 are used")
	require.NotContains(t, evidenceText(d), "pids.max is 9")
	requireResolved(t, run, d)
}

// TestNoResolver is of containers of a runner whose names go another way.
func TestNoResolver(t *testing.T) {
	t.Parallel()
	places := []model.Place{modeltest.DindBuild, modeltest.DindRun}
	run := in(places, namesFail(model.NoResolver))
	for _, p := range append(places, modeltest.Runner) {
		factsOf(&run, p).Resolvers = nil
	}
	d := diagnose.Diagnose(run)
	require.Equal(t, diagnose.CauseNoResolver, d.Cause, d.Summary)
	require.Contains(t, d.Summary, "stub-resolv.conf")
	require.Contains(t, d.Summary, `"dns" in /etc/docker/daemon.json`)
	require.Contains(t, evidenceText(d), "names no server either")
	require.NotContains(t, d.Summary, "Not explained")
	requireResolved(t, run, d)

	factsOf(&run, modeltest.DindRun).Resolvers = []string{"192.0.2.53"}
	require.Equal(t, model.Undetermined, diagnose.Diagnose(run).Verdict, "a resolver that is there")
}
