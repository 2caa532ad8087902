package diagnose_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/diagnose"
	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/model/modeltest"
)

// said is what a daemon or its runtime says, and what it means.
type said struct {
	words, cause, about string
}

// starts are last words of daemons that did not start. Those of testdata/dockerd20 and
// dockerd28 were written by real ones; these are from public reports.
var starts = []said{
	{"failed to start daemon, ensure docker is not running or delete /var/run/docker.pid: process with PID 30 is still running", diagnose.CauseDockerdPIDFile, "/var/run/docker.pid"},
	{"failed to start daemon: pid file found, ensure docker is not running or delete /var/lib/dockerd/dockerd.pid", diagnose.CauseDockerdPIDFile, "/var/lib/dockerd/dockerd.pid"},
	{"unable to configure the Docker daemon with file /etc/docker/daemon.json: the following directives are specified both as a flag and in the configuration file: " +
		"storage-driver: (from flag: overlay2, from file: overlay2)", diagnose.CauseDockerdConfig, "storage-driver"},
	{"unable to configure the Docker daemon with file /etc/docker/daemon.json: the following directives don't match any configuration option: storage-drivers", diagnose.CauseDockerdConfig, "storage-drivers"},
	{"failed to start daemon: Error initializing network controller: error creating default \"bridge\" network: IPv4 forwarding is disabled: check your host's firewalling " +
		"and set sysctl net.ipv4.ip_forward=1, or disable this check using daemon option --ip-forward=false", diagnose.CauseIPForwardOff, "net.ipv4.ip_forward=1"},
	{"failed to start daemon: Error initializing network controller: Error creating default \"bridge\" network: Failed to program NAT chain: " +
		"ZONE_CONFLICT: 'docker0' already bound to a zone", diagnose.CauseDockerdFirewalld, "docker0"},
	{"failed to start daemon: Devices cgroup isn't mounted", diagnose.CauseDockerdCgroup, "cgroup"},
	{"failed to start daemon: Error initializing network controller: error obtaining controller instance: failed to create NAT chain DOCKER: iptables failed: iptables -t nat -N DOCKER: " +
		"iptables v1.8.10 (legacy): can't initialize iptables table `nat': Table does not exist (do you need to insmod?)", diagnose.CauseDockerdIPTables, "Table does not exist"},
	{"failed to start daemon: Error initializing network controller: (iptables failed: iptables --wait -A DOCKER-ISOLATION-STAGE-1 -j RETURN: iptables v1.8.10 (nf_tables): " +
		"RULE_APPEND failed (No such file or directory): rule in chain DOCKER-ISOLATION-STAGE-1\n (exit status 4))", diagnose.CauseDockerdIPTables, "RULE_APPEND"},
	{"failed to start daemon: join session keyring: create session key: disk quota exceeded", diagnose.CauseKernelLimit, "kernel.keys.maxkeys"},
	{"failed to start containerd: timeout waiting for containerd to start", diagnose.CauseContainerdDown, "containerd"},
	{"failed to start daemon: could not find a subspace that fits the moon", diagnose.CauseDaemonFailed, "fits the moon"},
	{"panic: runtime error: index out of range [3]\n\ngoroutine 1 [running]:\nmain.main()\n\t/go/main.go:12 +0x1d", diagnose.CauseDaemonFailed, "index out of range"},
}

// TestWhatDaemonsSayOfTheirStart gives each to the diagnosis as the end of a nested daemon's
// log, and as what was noted of the runner's own.
func TestWhatDaemonsSayOfTheirStart(t *testing.T) {
	t.Parallel()
	for _, s := range starts {
		for name, run := range map[string]model.Run{"nested": ended(s.words), "the runner's": downOnRunner(s.words), "typed": failedDaemon(s.words)} {
			d := diagnose.Diagnose(run)
			require.Equal(t, s.cause, d.Cause, "%s: %s\n%s", name, s.words, d.Summary)
			require.Contains(t, evidenceText(d), s.about, name)
			require.NotEmpty(t, d.LastWords, name)
			require.Contains(t, strings.Join(d.LastWords[0].Lines, "\n"), strings.Fields(s.words)[1], name)
			require.Empty(t, d.Further, d.Summary)
			requireResolved(t, run, d)
		}
	}
	d := diagnose.Diagnose(ended(starts[len(starts)-2].words))
	require.Equal(t, "dockerd does not start: "+starts[len(starts)-2].words, d.Title)
	require.Equal(t, model.Supported, d.Confidence)
}

// daemonThatSays is a run whose nested daemon did not start, for a cause.
func daemonThatSays(cause string) func() model.Run {
	return func() model.Run {
		i := slices.IndexFunc(starts, func(s said) bool { return s.cause == cause })
		return ended(starts[i].words)
	}
}

// containerThatSays is a run none of whose containers start, for a cause.
func containerThatSays(cause string) func() model.Run {
	return func() model.Run {
		i := slices.IndexFunc(ran, func(s said) bool { return s.cause == cause })
		return everywhere(on(model.ProbeDockerRun, func(r *model.Result) {
			fails(model.ContainerFailed)(r)
			r.Detail.Message = "run a container of registry.lab.test/library/hello:1: " + ran[i].words
		}))
	}
}

// downOnRunner is a run whose runner has no daemon, for a reason that was noted.
func downOnRunner(words string) model.Run {
	run := in([]model.Place{modeltest.Runner}, func(r *model.Result) {
		if r.Probe == model.ProbeDockerPing || r.Probe == model.ProbeRegistryPull || r.Probe == model.ProbeDockerRun {
			fails(model.DaemonDown)(r)
			r.Detail.Message = "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?"
		}
	})
	run.Notes = append(run.Notes, "dockerd ended by itself: exit status 1; the end of dockerd.log:\n"+words)
	return run
}

// failedDaemon is the same, told by type.
func failedDaemon(words string) model.Run {
	run := downOnRunner("")
	run.Notes = nil
	run.Daemons = []model.Daemon{{Place: modeltest.Runner, Program: "dockerd", State: model.DaemonExited, ExitCode: 1, Log: model.LogLines(words)}}
	return run
}

// TestWhatRealDaemonsSay reads what real dockerds 20.10.24 and 28.5.2 wrote.
func TestWhatRealDaemonsSay(t *testing.T) {
	t.Parallel()
	causes := map[string]string{
		"pid": diagnose.CauseDockerdPIDFile, "flagfile": diagnose.CauseDockerdConfig, "hosts": diagnose.CauseDockerdConfig,
		"unknownkey": diagnose.CauseDockerdConfig, "badjson": diagnose.CauseDockerdConfig, "trailing": diagnose.CauseDockerdConfig,
		"badtype": diagnose.CauseDockerdConfig, "badvalue": diagnose.CauseDockerdConfig, "baddns": diagnose.CauseDockerdConfig,
		"badbip": diagnose.CauseDockerdConfig, "badtls": diagnose.CauseDockerdConfig, "badruntime": diagnose.CauseDockerdConfig,
		"badflag": diagnose.CauseDockerdConfig, "badpool": diagnose.CauseDockerdConfig, "address-pool": diagnose.CauseDockerdConfig,
		"tcpinuse": diagnose.CauseAddressInUse, "poolroutes": diagnose.CauseAddressPools,
		"roroot": diagnose.CauseDockerdDataRoot, "corruptnet": diagnose.CauseDockerdDataRoot, "corruptvol": diagnose.CauseDockerdDataRoot, "lockedvol": diagnose.CauseDockerdDataRoot,
		"nocontainerd": diagnose.CauseContainerdDown, "nofile": diagnose.CauseKernelLimit,
		"noipt": diagnose.CauseDockerdIPTables, "iptables": diagnose.CauseDockerdIPTables,
		"badstorage": diagnose.CauseStorageDriver, "storage-driver": diagnose.CauseStorageDriver,
	}
	for _, release := range []string{"dockerd20", "dockerd28"} {
		logs, err := filepath.Glob(filepath.Join("testdata", release, "*.log"))
		require.NoError(t, err)
		require.Greater(t, len(logs), 20)
		for _, path := range logs {
			text, err := os.ReadFile(path)
			require.NoError(t, err)
			want, known := causes[strings.TrimSuffix(filepath.Base(path), ".log")]
			require.True(t, known, path)
			run := ended(string(text))
			d := diagnose.Diagnose(run)
			require.Equal(t, want, d.Cause, "%s: %s", path, d.Summary)
			require.Empty(t, d.Further, path)
			requireResolved(t, run, d)
		}
	}
}

// pulled and ran are what the API says of images and containers.
var ran = []said{
	{"start it: Error response from daemon: failed to create task for container: OCI runtime create failed: runc create failed: unable to start container process: error during container init: " +
		"open sysctl net.ipv4.ip_unprivileged_port_start file: reopen fd 8: permission denied: unknown", diagnose.CauseRuntimeDenied, "reopen fd 8"},
	{"start it: Error response from daemon: AppArmor enabled on system but the docker-default profile could not be loaded: running apparmor_parser apparmor_parser failed", diagnose.CauseRuntimeDenied, "AppArmor"},
	{"start it: Error response from daemon: mkdir /sys/fs/cgroup/memory/docker/0a1b2c3d4e5f: no space left on device", diagnose.CauseKernelLimit, "cgroup"},
	{"start it: OCI runtime create failed: container_linux.go:380: starting container process caused: fork/exec /proc/self/exe: no space left on device", diagnose.CauseKernelLimit, "user.max_user_namespaces"},
	{"start it: OCI runtime create failed: join session keyring: create session key: disk quota exceeded", diagnose.CauseKernelLimit, "kernel.keys.maxkeys"},
	{"start it: failed to create inotify instance: too many open files", diagnose.CauseKernelLimit, "fs.inotify.max_user_instances"},
	{"start it: runtime/cgo: pthread_create failed: Resource temporarily unavailable", diagnose.CauseKernelLimit, "pids.max"},
	{"start it: driver failed programming external connectivity on endpoint web: Bind for 0.0.0.0:8080 failed: port is already allocated", diagnose.CauseAddressInUse, "0.0.0.0:8080"},
	{"create it: Pool overlaps with other one on this address space", diagnose.CauseAddressPools, "Pool overlaps"},
	{"start it: cannot enter cgroupv2 \"/sys/fs/cgroup/docker\" with domain controllers -- it is in an invalid state", diagnose.CauseDockerdCgroup, "invalid state"},
	{"start it: failed to add the host (veth1) <=> sandbox (veth2) pair interfaces: operation not supported", diagnose.CauseKernelFeature, "pair interfaces"},
	{"Error response from daemon: client version 1.32 is too old. Minimum supported API version is 1.44, please upgrade your client to a newer version", diagnose.CauseClientTooOld, "1.44"},
	{"start it: something that nobody has seen", diagnose.CauseContainerFailed, "nobody has seen"},
}

func TestWhatIsSaidOfContainers(t *testing.T) {
	t.Parallel()
	for _, s := range ran {
		for _, why := range []model.Reason{model.ContainerFailed, model.DiskFull} {
			if why == model.DiskFull && s.cause != diagnose.CauseKernelLimit {
				continue
			}
			run := everywhere(on(model.ProbeDockerRun, func(r *model.Result) {
				fails(why)(r)
				r.Detail.Message = "run a container of registry.lab.test/library/hello:1: " + s.words
			}))
			factsOf(&run, modeltest.Runner).Disks = []model.Disk{{Path: "/var/lib/docker", SizeMB: 70000, FreeMB: 30000, Inodes: 100000, FreeInodes: 90000}}
			d := diagnose.Diagnose(run)
			require.Equal(t, s.cause, d.Cause, "%s\n%s", s.words, d.Summary)
			require.Contains(t, evidenceText(d), s.about)
			requireResolved(t, run, d)
			if s.cause == diagnose.CauseKernelLimit {
				require.Contains(t, evidenceText(d), "30000 MB free and 90000 inodes")
			}
		}
	}
}

// TestADaemonThatIsSilent has said nothing of an end.
func TestADaemonThatIsSilent(t *testing.T) {
	t.Parallel()
	run := failedDaemon(`time="2026-03-01T12:00:00Z" level=info msg="Loading containers: start."`)
	run.Daemons[0].State, run.Daemons[0].ExitCode = model.DaemonSilent, 0
	d := diagnose.Diagnose(run)
	require.Equal(t, diagnose.CauseDaemonFailed, d.Cause)
	require.Equal(t, "dockerd does not start: it runs, and its API does not answer", d.Title)
	require.Contains(t, evidenceText(d), "Loading containers")
}

// TestWhatAPullSaysOfTheNetwork is no matter of a daemon.
func TestWhatAPullSaysOfTheNetwork(t *testing.T) {
	t.Parallel()
	for _, words := range []string{
		"Get \"https://registry.lab.test/v2/\": dial tcp 198.51.100.10:443: connect: operation not permitted",
		"Get \"https://registry.lab.test/v2/\": dial tcp 198.51.100.10:443: i/o timeout",
		"dial tcp: lookup registry.lab.test on [::1]:53: read udp [::1]:4->[::1]:53: read: connection refused",
		"x509: certificate signed by unknown authority", "denied: requested access to the resource is denied", "unexpected EOF",
	} {
		run := in([]model.Place{modeltest.DindRun}, on(model.ProbeRegistryPull, func(r *model.Result) {
			fails(model.RegistryError)(r)
			r.Detail.Message = "pull registry.lab.test/library/hello:1: the daemon says: " + words
		}))
		d := diagnose.Diagnose(run)
		require.Equal(t, model.Undetermined, d.Verdict, "%s: %s", words, d.Summary)
	}
}

// TestAFirstContainer: its daemon runs. What the runtime says of it counts, and what the
// network did to its image is no failure of a daemon.
func TestAFirstContainer(t *testing.T) {
	t.Parallel()
	d := diagnose.Diagnose(lostStart(modeltest.DindRun, "run a first container: pull hello-world: Error response from daemon: "+
		"Get \"https://registry-1.docker.io/v2/\": dial tcp: lookup registry-1.docker.io on 10.255.255.53:53: connect: network is unreachable"))
	require.Equal(t, model.Undetermined, d.Verdict, d.Summary)
	for _, s := range ran[:len(ran)-1] {
		d := diagnose.Diagnose(lostStart(modeltest.DindRun, "run a first container: start a container of hello-world: Error response from daemon: "+s.words))
		require.Equal(t, s.cause, d.Cause, "%s\n%s", s.words, d.Summary)
		require.Empty(t, d.LastWords, "it is alive")
	}
	d = diagnose.Diagnose(lostStart(modeltest.DindRun, "run a first container: start a container of hello-world: Error response from daemon: moon"))
	require.Equal(t, diagnose.CauseContainerFailed, d.Cause, d.Summary)
}

// TestALayerThatCannotBeUnpacked: the registry served it.
func TestALayerThatCannotBeUnpacked(t *testing.T) {
	t.Parallel()
	for _, words := range []string{
		"failed to extract layer sha256:0a1b: failed to mount /var/lib/containerd/tmpmounts/containerd-mount1: fstype: overlay, flags: 0, data: \"workdir=x\", err: invalid argument",
		"failed to extract layer sha256:0a1b: failed to convert whiteout file usr/.wh.x: operation not permitted",
		"failed to stat snapshot sha256:0a1b: snapshotter not loaded: overlay2: invalid argument",
		"failed to register layer: Error processing tar file(exit status 1): operation not permitted",
	} {
		for name, places := range map[string][]model.Place{"one": {modeltest.DindRun}, "all": nil, "typed": nil} {
			why, words := model.RegistryError, words
			if name == "typed" {
				why, words = model.StorageDriver, "whatever"
			}
			change := on(model.ProbeRegistryPull, func(r *model.Result) {
				if places != nil && r.Place != places[0] {
					return
				}
				fails(why)(r)
				r.Detail.Message = "pull registry.lab.test/library/hello:1: the daemon says: " + words
			})
			run := everywhere(change)
			d := diagnose.Diagnose(run)
			require.Equal(t, diagnose.CauseStorageDriver, d.Cause, "%s: %s\n%s", name, words, d.Summary)
			require.Empty(t, d.Further, d.Summary)
			requireResolved(t, run, d)
		}
	}
}
