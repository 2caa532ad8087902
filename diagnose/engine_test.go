package diagnose_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/diagnose"
	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/model/modeltest"
)

const daemonFile = "/etc/docker/daemon.json"

// inContainer is a container of the runner's own Docker.
var inContainer = model.Place{Environment: model.EnvContainer}

func set(key, value string) []model.DockerSetting {
	return []model.DockerSetting{{Key: key, Value: value, From: daemonFile}}
}

// dockerOnRunner picks the runner's results of these probes.
func dockerOnRunner(probes ...string) func(model.Result) bool {
	return func(r model.Result) bool {
		for _, p := range probes {
			if r.Place == modeltest.Runner && r.Probe == p {
				return true
			}
		}
		return false
	}
}

// loggingToNobody is a dockerd whose containers are to log to who is not there.
var loggingToNobody = model.Dockerd{Settings: set("log-driver", "fluentd")}

// logServer adds what came of trying to connect to the server of logs, after a container failed.
func logServer(run model.Run, reason model.Reason) model.Run {
	run.Inspections = append(run.Inspections, model.Inspection{Place: modeltest.Runner, Round: base, Taken: modeltest.Start, Probe: model.ProbeDockerRun,
		LogServer: &model.LogServer{Driver: "fluentd", Address: "127.0.0.1:24224", Reason: reason}})
	return run
}

// noContainer is a run with such a dockerd on the runner, none of whose containers start.
func noContainer(d model.Dockerd) model.Run {
	run := full()
	each(&run, dockerOnRunner(model.ProbeDockerRun), func(r *model.Result) {
		fails(model.ContainerFailed)(r)
		r.Detail.Message = "start it: failed to create shim task: something that nobody has seen"
	})
	without(&run, func(r model.Result) bool { return r.Environment == model.EnvDind })
	run.Results = append(run.Results, model.Result{
		Place: inContainer, Round: base, Probe: model.ProbeStart, Target: model.EnvContainer, Attempt: 1, Outcome: model.Error, Reason: model.NotStarted,
		Start: modeltest.Start, Detail: model.Detail{Message: "start the container of container: something that nobody has seen"},
	})
	factsOf(&run, modeltest.Runner).Engine = &d
	return run
}

// noDockerd is a run whose runner's dockerd does not answer.
func noDockerd(d model.Dockerd) model.Run {
	run := failedDaemon("failed to start daemon: words of somebody")
	factsOf(&run, modeltest.Runner).Engine = &d
	return run
}

var clientCertificate = model.Dockerd{Certificates: []model.CertificateFault{
	{Registry: "registry.lab.test", File: "/etc/docker/certs.d/registry.lab.test/ca.cert", Lacks: "ca.key"}}}

// servedPull is a run whose runner cannot pull, though the registry serves.
func servedPull(d model.Dockerd) model.Run {
	run := full()
	each(&run, dockerOnRunner(model.ProbeRegistryPull, model.ProbeDockerRun), func(r *model.Result) {
		fails(model.RegistryError)(r)
		if r.Probe == model.ProbeRegistryPull {
			r.Detail = model.Detail{Message: "pull it: words of dockerd", Values: map[string]string{"registry_status": "200"}}
		}
	})
	factsOf(&run, modeltest.Runner).Engine = &d
	return run
}

func proxyFails() model.Run {
	run := servedPull(model.Dockerd{PID: 9, Process: "dockerd", ProxyVariables: []string{"HTTPS_PROXY"}})
	each(&run, dockerOnRunner(model.ProbeRegistryPull, model.ProbeDockerRun), fails(model.ProxyFailed))
	each(&run, dockerOnRunner(model.ProbeRegistryPull), func(r *model.Result) {
		r.Detail.Values = map[string]string{"proxy": "https://198.51.100.11:80", "proxy_of": "dockerd", "proxy_reason": "tls-other"}
	})
	return run
}

// TestSettingsAreNamedWithWhatTheyNeed: by what was read of the place, and only where
// containers, or the daemon, do fail.
func TestSettingsAreNamedWithWhatTheyNeed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		d      model.Dockerd
		says   string
		starts bool
		// met is the same with what it needs.
		met model.Dockerd
	}{
		{d: loggingToNobody, says: `"log-driver": "fluentd" of /etc/docker/daemon.json has containers log to 127.0.0.1:24224`,
			met: model.Dockerd{Settings: set("log-driver", "syslog")}},
		{d: model.Dockerd{Settings: set("exec-opts", "native.cgroupdriver=systemd")}, says: "systemd does not run here",
			met: model.Dockerd{Settings: set("exec-opts", "native.cgroupdriver=systemd"), Systemd: true}},
		{d: model.Dockerd{Settings: set("default-runtime", "nvidia"), Runtime: "nvidia", RuntimeProgram: "nvidia-container-runtime"},
			says: "run by nvidia-container-runtime, which is not there", met: model.Dockerd{Settings: set("default-runtime", "nvidia")}},
		{d: model.Dockerd{Settings: set("default-ulimits", "nofile=10:10")}, says: `"default-ulimits": "nofile=10:10"`,
			met: model.Dockerd{Settings: set("default-ulimits", "nofile=1024:1024")}},
		{d: model.Dockerd{Settings: set("storage-opts", "overlay2.size=10G"), Root: "/var/lib/docker", RootType: "ext4"}, starts: true,
			says: "/var/lib/docker, which is on ext4", met: model.Dockerd{Settings: set("storage-opts", "overlay2.size=10G"), Root: "/var/lib/docker", RootType: "xfs", ProjectQuota: true}},
	} {
		broken := noContainer
		if c.starts {
			broken = noDockerd
		}
		run := logServer(broken(c.d), model.Refused)
		d := diagnose.Diagnose(run)
		require.Equal(t, diagnose.CauseDockerdSetting, d.Cause, "%s\n%s", c.says, d.Summary)
		require.Contains(t, evidenceText(d), c.says)
		require.Empty(t, d.Further, d.Summary)
		requireResolved(t, run, d)
		require.NotEqual(t, diagnose.CauseDockerdSetting, diagnose.Diagnose(logServer(broken(c.met), model.Refused)).Cause, "its needs are met: %s", c.says)
		healthy := full()
		factsOf(&healthy, modeltest.Runner).Engine = &c.d
		require.Equal(t, model.Healthy, diagnose.Diagnose(healthy).Verdict, "nothing fails: %s", c.says)
	}
	require.NotEqual(t, diagnose.CauseDockerdSetting, diagnose.Diagnose(logServer(noContainer(loggingToNobody), "")).Cause, "the server was connected to")
	require.NotEqual(t, diagnose.CauseDockerdSetting, diagnose.Diagnose(noContainer(loggingToNobody)).Cause, "it was not tried")
	// A container that did run speaks against it.
	run := logServer(noContainer(loggingToNobody), model.Refused)
	run.Results = append(run.Results, model.Result{Place: model.Place{Environment: model.EnvDind}, Round: base, Probe: model.ProbeDNSA, Target: "a", Attempt: 1, Outcome: model.Pass, Start: modeltest.Start})
	d := diagnose.Diagnose(run)
	require.Equal(t, diagnose.CauseContainerFailed, d.Cause, d.Summary)
	require.Contains(t, causes(d.RuledOut), diagnose.CauseDockerdSetting)
}

// TestWhatIsReadComesBeforeWords: words that other rules know decide nothing where the place
// itself says why.
func TestWhatIsReadComesBeforeWords(t *testing.T) {
	t.Parallel()
	for _, words := range []string{
		"failed to register layer: mkdir /var/lib/docker/overlay2/dc7: read-only file system", "overlay: invalid argument", "too many open files",
		`unable to retrieve OCI runtime error (open /run/io.containerd.runtime.v2.task/moby/1/log.json: no such file or directory): exec: "x": not found`,
	} {
		run := noContainer(model.Dockerd{Root: "/var/lib/docker", ReadOnly: []string{"/var/lib/docker/overlay2"}})
		each(&run, dockerOnRunner(model.ProbeRegistryPull), func(r *model.Result) {
			fails(model.StorageDriver)(r)
			r.Detail.Message = words
		})
		each(&run, dockerOnRunner(model.ProbeDockerRun), func(r *model.Result) { r.Detail.Message = words })
		d := diagnose.Diagnose(run)
		require.Equal(t, diagnose.CauseDockerdDataRoot, d.Cause, d.Summary)
		require.Contains(t, d.Summary, "/var/lib/docker/overlay2, which dockerd in runner keeps its data in, is mounted read-only")
		require.Empty(t, d.Further)
		factsOf(&run, modeltest.Runner).Engine.ReadOnly = nil
		require.NotContains(t, diagnose.Diagnose(run).Summary, "is mounted read-only")
	}
	// A program's own log is no socket of containerd's.
	run := noContainer(model.Dockerd{})
	each(&run, dockerOnRunner(model.ProbeDockerRun), func(r *model.Result) {
		r.Detail.Message = `start it: (open /run/io.containerd.runtime.v2.task/moby/1/log.json: no such file or directory): exec: "x": not found`
	})
	require.NotEqual(t, diagnose.CauseContainerdDown, diagnose.Diagnose(run).Cause)
}

// TestARegistryThatServesIsNotDown: its own answer in the same run.
func TestARegistryThatServesIsNotDown(t *testing.T) {
	t.Parallel()
	run := servedPull(model.Dockerd{})
	d := diagnose.Diagnose(run)
	require.Equal(t, diagnose.CauseContainerFailed, d.Cause, d.Summary)
	require.Equal(t, "Containers fail: pull it: words of dockerd", d.Title)
	require.Contains(t, evidenceText(d), "registry.lab.test answered 200 when it was asked from there without dockerd")
	require.Empty(t, d.Further, d.Summary)
	requireResolved(t, run, d)

	each(&run, dockerOnRunner(model.ProbeRegistryPull), func(r *model.Result) { r.Detail.Values = nil })
	without(&run, func(r model.Result) bool { return r.Environment == model.EnvDind })
	require.Equal(t, diagnose.CauseRegistryDown, diagnose.Diagnose(run).Cause, "it was not asked")

	run = servedPull(clientCertificate)
	d = diagnose.Diagnose(run)
	require.Equal(t, diagnose.CauseRegistryCertificates, d.Cause, d.Summary)
	require.Contains(t, evidenceText(d), "certs.d/registry.lab.test/ca.cert is a client certificate for registry.lab.test to dockerd, and its key ca.key is not beside it")
	require.Empty(t, d.Further, d.Summary)
	requireResolved(t, run, d)
	factsOf(&run, modeltest.Runner).Engine.Certificates[0].Registry = "other.lab.test"
	require.NotEqual(t, diagnose.CauseRegistryCertificates, diagnose.Diagnose(run).Cause, "those of another registry")
	clientCertificate.Certificates[0].Registry = "registry.lab.test"

	run = proxyFails()
	d = diagnose.Diagnose(run)
	require.Equal(t, diagnose.CauseProxyFailed, d.Cause, d.Summary)
	require.Contains(t, evidenceText(d), "dockerd in runner goes by the proxy https://198.51.100.11:80 (HTTPS_PROXY of the environment of process 9")
	require.Empty(t, d.Further, d.Summary)
	requireResolved(t, run, d)
}

// TestAnotherPullPasses: what keeps dockerd from a registry keeps it from all of its images.
func TestAnotherPullPasses(t *testing.T) {
	t.Parallel()
	certificate := model.Dockerd{Certificates: []model.CertificateFault{{Registry: "registry.lab.test", File: "/etc/docker/certs.d/registry.lab.test/ca.cert", Lacks: "ca.key"}}}
	for cause, make := range map[string]func() model.Run{
		diagnose.CauseRegistryCertificates: func() model.Run { return servedPull(certificate) },
		diagnose.CauseProxyFailed:          proxyFails,
	} {
		for _, image := range []string{"registry.lab.test/library/other:1", "elsewhere.lab.test/other:1"} {
			run := make()
			other := run.Results[slices.IndexFunc(run.Results, dockerOnRunner(model.ProbeRegistryPull))]
			passes(&other)
			other.Target = image
			run.Results = append(run.Results, other)
			same := strings.HasPrefix(image, "registry.lab.test/")
			require.Equal(t, !same, diagnose.Diagnose(run).Cause == cause, "%s %s", cause, image)
		}
	}
	// The directory of Docker Hub is called by its registry's host.
	certificate.Certificates[0].Registry = "docker.io"
	run := servedPull(certificate)
	each(&run, dockerOnRunner(model.ProbeRegistryPull), func(r *model.Result) { r.Target = "library/hello:1" })
	require.NotEqual(t, diagnose.CauseRegistryCertificates, diagnose.Diagnose(run).Cause)
	certificate.Certificates[0].Registry = "registry-1.docker.io"
	require.Equal(t, diagnose.CauseRegistryCertificates, diagnose.Diagnose(run).Cause)
}

// TestADockerdThatIsStopped is told from one that does not run.
func TestADockerdThatIsStopped(t *testing.T) {
	t.Parallel()
	run := downOnRunner("")
	run.Notes = nil
	factsOf(&run, modeltest.Runner).Engine = &model.Dockerd{PID: 9, Process: "dockerd", Stopped: true}
	d := diagnose.Diagnose(run)
	require.Equal(t, diagnose.CauseServerStopped, d.Cause, d.Summary)
	require.Equal(t, "dockerd is stopped by a signal", d.Title)
	require.Contains(t, d.Summary, "kill -CONT 9")
	require.Empty(t, d.Further, d.Summary)
	requireResolved(t, run, d)
	require.Contains(t, d.Summary, "has Docker's socket")
	factsOf(&run, modeltest.Runner).Engine.ByName = true
	d = diagnose.Diagnose(run)
	require.Equal(t, diagnose.CauseServerStopped, d.Cause, d.Summary)
	require.NotContains(t, d.Summary, "has Docker's socket", "that was not seen")
	factsOf(&run, modeltest.Runner).Engine.Stopped = false
	require.NotEqual(t, diagnose.CauseServerStopped, diagnose.Diagnose(run).Cause)
}

// TestTheSocketsPathIsNoSocket names what is there instead.
func TestTheSocketsPathIsNoSocket(t *testing.T) {
	t.Parallel()
	run := noDockerd(model.Dockerd{NotASocket: "/var/run/docker.sock", Kind: "directory"})
	run.Daemons[0].Log = []string{"failed to load listeners: can't create unix socket /var/run/docker.sock: is a directory"}
	d := diagnose.Diagnose(run)
	require.Equal(t, diagnose.CauseSocketPath, d.Cause, d.Summary)
	require.Contains(t, d.Summary, "`rmdir /var/run/docker.sock`")
	require.Empty(t, d.Further, d.Summary)
	requireResolved(t, run, d)
}

// TestTasksOfTheCgroup: a limit that was reached, at the end or before.
func TestTasksOfTheCgroup(t *testing.T) {
	t.Parallel()
	for tasks, reached := range map[model.CgroupTasks]bool{
		{Cgroup: "/ci-jobs", Max: 9, Used: 2, Peak: 9}: true, {Cgroup: "/ci-jobs", Max: 9, Used: 9}: true, {Cgroup: "/ci-jobs", Max: 9, Used: 2, Peak: 8}: false,
	} {
		run := noContainer(model.Dockerd{Settings: set("cgroup-parent", "/ci-jobs")})
		run.Inspections = []model.Inspection{{Place: modeltest.Runner, Round: base, Taken: modeltest.Start, Probe: model.ProbeDockerRun, Tasks: &tasks}}
		d := diagnose.Diagnose(run)
		require.Equal(t, reached, d.Cause == diagnose.CauseKernelLimit, d.Summary)
		if reached {
			require.Contains(t, evidenceText(d), `the cgroup /ci-jobs, which dockerd in runner puts its containers into, may have 9 processes and threads (pids.max), and had as many`)
			require.Contains(t, d.Summary, `"cgroup-parent": "/ci-jobs" of /etc/docker/daemon.json`)
			require.Empty(t, d.Further, d.Summary)
			requireResolved(t, run, d)
		}
		// What is known to fail by something else is not by a peak of long ago.
		each(&run, dockerOnRunner(model.ProbeDockerRun), func(r *model.Result) { r.Detail.Message = "start it: open sysctl file: reopen fd 8: permission denied" })
		d = diagnose.Diagnose(run)
		require.Equal(t, tasks.Used < tasks.Max, d.Cause == diagnose.CauseRuntimeDenied, d.Summary)
		each(&run, dockerOnRunner(model.ProbeDockerRun), func(r *model.Result) { r.Outcome, r.Reason, r.Detail = model.Pass, "", model.Detail{} })
		require.Equal(t, tasks.Used == tasks.Max, diagnose.Diagnose(run).Cause == diagnose.CauseKernelLimit, "a container ran")
	}
}
