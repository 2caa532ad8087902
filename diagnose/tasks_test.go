package diagnose_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/diagnose"
	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/model/modeltest"
)

// TestAPeakOfLongAgo is no cause of what fails with room enough, nor is a cgroup that dockerd
// does not use.
func TestAPeakOfLongAgo(t *testing.T) {
	t.Parallel()
	const own, eagain = "start it: exec /hello: exec format error", "start it: runtime/cgo: pthread_create failed: Resource temporarily unavailable"
	for _, c := range []struct {
		driver, says string
		used         uint64
		want         bool
	}{
		{"cgroupfs", own, 3, false}, {"cgroupfs", own, 490, true}, {"cgroupfs", own, 500, true}, {"cgroupfs", eagain, 3, true},
		{"systemd", own, 500, false}, {"", own, 500, false},
	} {
		run := noContainer(model.Dockerd{PID: 9})
		without(&run, func(r model.Result) bool { return r.Place == inContainer })
		each(&run, dockerOnRunner(model.ProbeDockerRun), func(r *model.Result) { r.Detail.Message = c.says })
		factsOf(&run, modeltest.Runner).Docker = &model.DockerFacts{CgroupDriver: c.driver}
		run.Inspections = []model.Inspection{{Place: modeltest.Runner, Round: base, Taken: modeltest.Start, Probe: model.ProbeDockerRun, Tasks: &model.CgroupTasks{Cgroup: "/docker", Max: 500, Used: c.used, Peak: 500}}}
		d := diagnose.Diagnose(run)
		require.Equal(t, c.want, strings.Contains(d.Title, "may have no more processes"), "%v: %s", c, d.Title)
	}
}
