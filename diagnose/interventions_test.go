package diagnose_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/diagnose"
	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/model/modeltest"
)

// unprovable are the causes that no change to a runner can prove; docs/accuracy.md
// says why of each.
var unprovable = []string{
	diagnose.CauseRunnerOffline, diagnose.CauseDNSUpstreamDead, diagnose.CauseAAAAOnly, diagnose.CauseProxyRequired,
	diagnose.CauseTLSIntercepted, diagnose.CauseClockSkew, diagnose.CauseRegistryDown, diagnose.CauseRegistryRateLimit,
	diagnose.CauseAptMirror5xx, diagnose.CauseSlowMirror, diagnose.CauseRefusedUpstream, diagnose.CauseUnansweredUpstream, diagnose.CauseNoPrivilege, diagnose.CauseAgentNotReady, diagnose.CauseOutOfMemory, diagnose.CauseSocketDenied,
	diagnose.CauseDroppedByKernel, diagnose.CauseNobodyListens,
	diagnose.CauseTrafficControl, diagnose.CauseIPsecPolicy, diagnose.CauseServerStopped,
	diagnose.CauseNamesDiffer, diagnose.CauseResolverSilent, diagnose.CauseLocalPorts, diagnose.CauseDHCPServer, diagnose.CauseDuplicateAddress, diagnose.CauseOtherMAC, // left to whoever set them up
	// What a daemon says of its own end is for those who start it to repair.
	diagnose.CauseNoResolver, diagnose.CauseDockerdConfig, diagnose.CauseDockerdPIDFile, diagnose.CauseAddressInUse, diagnose.CauseAddressPools,
	diagnose.CauseDockerdFirewalld, diagnose.CauseKernelLimit, diagnose.CauseDockerdCgroup, diagnose.CauseDockerdDataRoot, diagnose.CauseKernelFeature,
	diagnose.CauseContainerdDown, diagnose.CauseRuntimeDenied, diagnose.CauseClientTooOld, diagnose.CauseDaemonFailed, diagnose.CauseContainerFailed,
	diagnose.CauseSocketPath, diagnose.CauseRegistryCertificates, diagnose.CauseProxyFailed, diagnose.CauseNoSubordinates,
}

// provable are the runs that the interventions need more of than the fixtures have.
func provable() map[string]func() model.Run {
	all := fixtures()
	all[diagnose.CauseDockerdSetting] = func() model.Run { return onDocker0(model.Dockerd{Settings: set("ip-masq", "false")}) }
	all[diagnose.CauseV6NoRoute] = func() model.Run { return in([]model.Place{modeltest.LXDContainer}, both46(false)) }
	all[diagnose.CauseDiskFull] = func() model.Run {
		run := fixtures()[diagnose.CauseDiskFull]()
		f := factsOf(&run, modeltest.Runner)
		f.Docker = &model.DockerFacts{Root: "/var/lib/docker"}
		f.Disks = []model.Disk{
			{Path: "/var/lib/docker", SizeMB: 16, FreeMB: 15, Device: 1}, {Path: "/", Overlay: true, FreeMB: 9000, Device: 2},
			{Path: "/home", FreeMB: 9000, Device: 1}, {Path: "/mnt", FreeMB: 5000, Device: 3},
		}
		return run
	}
	all[diagnose.CauseKVMDenied] = func() model.Run {
		run := full()
		run.Results = append(run.Results, model.Result{Place: modeltest.Runner, Round: base, Probe: model.ProbeKVM, Target: "/dev/kvm",
			Attempt: 1, Outcome: model.Fail, Reason: model.Permission})
		factsOf(&run, modeltest.Runner).KVM = model.Device{Present: true, Error: "open /dev/kvm: permission denied"}
		return run
	}
	return all
}

// TestWhatCanBeProvenHasItsIntervention, and what cannot has none.
func TestWhatCanBeProvenHasItsIntervention(t *testing.T) {
	t.Parallel()
	for cause, run := range provable() {
		h, ok := diagnose.Next(run(), nil)
		require.True(t, ok, cause)
		require.Equal(t, cause, h.Finding.Cause)
		if slices.Contains(unprovable, cause) {
			require.Nil(t, h.Intervention, cause)
			continue
		}
		require.NotNil(t, h.Intervention, cause)
		require.NotEmpty(t, h.Intervention.Places, cause)
		require.NotEmpty(t, h.Explains, cause)
		require.Equal(t, h.Intervention.Remedy, *h.Finding.Remedy, cause)
		for _, r := range run().Results {
			if slices.Contains(h.Explains, r.Ref()) {
				require.Contains(t, h.Intervention.Places, r.Place, "%s: what has to follow is probed again", cause)
			}
		}
	}
}

// TestTheInterventionsAreConcrete: their parameters come from what was observed.
func TestTheInterventionsAreConcrete(t *testing.T) {
	t.Parallel()
	guests := modeltest.Bridged()
	for cause, want := range map[string]struct {
		parameters map[string]string
		places     []model.Place
		proxy      string
	}{
		diagnose.CauseDHCPBlocked:    {map[string]string{"bridge": "lxdbr0"}, []model.Place{modeltest.LXDContainer}, ""},
		diagnose.CauseDiskFull:       {map[string]string{"path": "/mnt/nestlab-docker"}, []model.Place{modeltest.Runner}, ""},
		diagnose.CauseStorageDriver:  {map[string]string{"driver": "overlay2"}, []model.Place{modeltest.Runner}, ""},
		diagnose.CauseKVMDenied:      {nil, []model.Place{modeltest.Runner}, ""},
		diagnose.CauseUpstreamBlocks: {map[string]string{"bridge": "lxdbr0"}, guests, "http://10.77.0.1:3128"},
		diagnose.CauseV6NoRoute:      {map[string]string{"bridge": "lxdbr0"}, []model.Place{modeltest.LXDContainer}, ""},
	} {
		h, _ := diagnose.Next(provable()[cause](), nil)
		require.NotNil(t, h.Intervention, cause)
		require.Equal(t, want.parameters, h.Intervention.Remedy.Parameters, cause)
		require.Equal(t, want.proxy, h.Intervention.Proxy, cause)
		if cause != diagnose.CauseDHCPBlocked {
			require.ElementsMatch(t, want.places, h.Intervention.Places, cause)
		}
	}
	// The new network of a bridge is one that the runner does not have.
	h, _ := diagnose.Next(fixtures()[diagnose.CauseSubnetOverlap](), nil)
	require.Equal(t, "10.177.0.1/24", h.Intervention.Remedy.Parameters["address"])
	run := fixtures()[diagnose.CauseSubnetOverlap]()
	runner := factsOf(&run, modeltest.Runner)
	runner.Routes = append(runner.Routes, model.Route{Destination: "10.177.0.0/16", Device: "eth0"})
	h, _ = diagnose.Next(run, nil)
	require.Nil(t, h.Intervention, "all of them are taken")
	runner.Routes[len(runner.Routes)-1].Destination = "10.177.0.0/23"
	h, _ = diagnose.Next(run, nil)
	require.Equal(t, "10.177.2.1/24", h.Intervention.Remedy.Parameters["address"])
}

// TestNoRoomElsewhereIsNotTried: the other file systems are the same, full, or of
// a kind that overlay2 cannot stand on.
func TestNoRoomElsewhereIsNotTried(t *testing.T) {
	t.Parallel()
	run := provable()[diagnose.CauseDiskFull]()
	f := factsOf(&run, modeltest.Runner)
	f.Disks[3].FreeMB = 100
	h, _ := diagnose.Next(run, nil)
	require.Equal(t, diagnose.CauseDiskFull, h.Finding.Cause)
	require.Nil(t, h.Intervention)
}

// TestTheRunnersRemedyIsForTheRunner: what ails the daemon of a nested environment
// alone is not restored in the runner's own.
func TestTheRunnersRemedyIsForTheRunner(t *testing.T) {
	t.Parallel()
	for cause, reason := range map[string]model.Reason{diagnose.CauseStorageDriver: model.StorageDriver, diagnose.CauseDiskFull: model.DiskFull} {
		for _, places := range [][]model.Place{{modeltest.DindRun}, {modeltest.Runner, modeltest.DindRun}} {
			run := in(places, on(model.ProbeDockerPing, fails(reason)))
			f := factsOf(&run, modeltest.Runner)
			f.Docker = &model.DockerFacts{Root: "/var/lib/docker"}
			f.Disks = []model.Disk{{Path: "/var/lib/docker", SizeMB: 16, FreeMB: 15, Device: 1}, {Path: "/mnt", FreeMB: 5000, Device: 3}}
			d := diagnose.Diagnose(run)
			require.Equal(t, cause, d.Cause, d.Summary)
			require.Equal(t, len(places) == 2, d.Remedy != nil, "%s in %v: %v", cause, places, d.Remedy)
		}
	}
}
