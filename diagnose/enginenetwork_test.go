package diagnose_test

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/diagnose"
	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/model/modeltest"
)

// onDocker0 is a run whose container on docker0 gets no answer.
func onDocker0(d model.Dockerd) model.Run {
	run := dockerUntranslated()
	factsOf(&run, modeltest.Runner).Engine = &d
	return run
}

// TestMasqueradingThatIsSwitchedOff is told from rules that are missing.
func TestMasqueradingThatIsSwitchedOff(t *testing.T) {
	t.Parallel()
	run := onDocker0(model.Dockerd{Settings: set("ip-masq", "false")})
	d := diagnose.Diagnose(run)
	require.Equal(t, diagnose.CauseDockerdSetting, d.Cause, d.Summary)
	require.Contains(t, evidenceText(d), `"ip-masq": false of /etc/docker/daemon.json has dockerd make no MASQUERADE rule for docker0`)
	require.Empty(t, d.Further, d.Summary)
	requireResolved(t, run, d)
	for _, other := range []model.Dockerd{{}, {Settings: set("ip-masq", "true")}, {Settings: append(set("iptables", "false"), set("ip-masq", "false")...)}} {
		require.Equal(t, diagnose.CauseDockerdIPTables, diagnose.Diagnose(onDocker0(other)).Cause)
	}
}

// TestContainersWithoutABridge have loopback alone, as dockerd was told.
func TestContainersWithoutABridge(t *testing.T) {
	t.Parallel()
	run := full()
	each(&run, func(r model.Result) bool { return r.Place == modeltest.DindRun }, fails(model.Unreachable))
	f := factsOf(&run, modeltest.DindRun)
	f.Interfaces, f.Routes = []model.Interface{{Name: "lo", Type: "device", Up: true, Addresses: []string{"127.0.0.1/8"}}}, nil
	factsOf(&run, modeltest.Runner).Engine = &model.Dockerd{Settings: set("bridge", "none")}
	d := diagnose.Diagnose(run)
	require.Equal(t, diagnose.CauseDockerdSetting, d.Cause, d.Summary)
	require.Equal(t, `A setting of dockerd's is in the way: "bridge": "none" of /etc/docker/daemon.json`, d.Title)
	require.Empty(t, d.Further, d.Summary)
	requireResolved(t, run, d)
	f.Interfaces = append(f.Interfaces, model.Interface{Name: "eth0", Type: "veth", Up: true})
	require.NotEqual(t, diagnose.CauseDockerdSetting, diagnose.Diagnose(run).Cause, "it has a network")
}

// onTheLAN is a run whose runner has docker0 in a part of the uplink's network.
func onTheLAN(state string) model.Run {
	site := netip.MustParseAddr("198.51.100.10")
	run := in([]model.Place{modeltest.Runner}, onTCP(func(r *model.Result) {
		fails(model.Unreachable)(r)
		r.Detail.Dials = []model.Dial{{Address: "198.51.100.10:443", Reason: model.Unreachable}}
	}))
	f := factsOf(&run, modeltest.Runner)
	f.Engine = &model.Dockerd{Settings: set("bip", "198.51.100.14/28")}
	for i := range f.Interfaces {
		switch f.Interfaces[i].Name {
		case "eth0":
			f.Interfaces[i].Addresses = []string{"198.51.100.200/24"}
		case "docker0":
			f.Interfaces[i].Addresses = []string{"198.51.100.14/28"}
		}
	}
	w := model.Watch{Place: modeltest.Runner, Round: base, Sightings: &model.Sightings{Decisions: []model.Decision{{
		Source: netip.MustParseAddr("198.51.100.14"), Destination: site, Kind: "unicast", Out: "docker0", Main: "docker0", Hop: &model.NextHop{Address: site, State: state}}}}}
	if old := watchOf(&run, modeltest.Runner, base); old != nil {
		*old = w
	} else {
		run.Watches = append(run.Watches, w)
	}
	return run
}

// TestABridgeOnTheLAN takes what is for the runner's own neighbours.
func TestABridgeOnTheLAN(t *testing.T) {
	t.Parallel()
	run := onTheLAN("failed")
	d := diagnose.Diagnose(run)
	require.Equal(t, diagnose.CauseSubnetOverlap, d.Cause, d.Summary)
	require.Contains(t, evidenceText(d), `198.51.100.10 is looked for on docker0, whose network (198.51.100.14/28) has that address, and nobody there has it`)
	require.Contains(t, d.Summary, `"bip": "198.51.100.14/28" of /etc/docker/daemon.json sets it`)
	require.Contains(t, causes(d.RuledOut), diagnose.CauseRunnerOffline)
	require.Empty(t, d.Further, d.Summary)
	requireResolved(t, run, d)
	require.NotEqual(t, diagnose.CauseSubnetOverlap, diagnose.Diagnose(onTheLAN("reachable")).Cause, "who is asked for answers on that bridge")
}

// TestAGatewayOfDockersThatNobodyHas: names alone are tried by it, and are not answered.
func TestAGatewayOfDockersThatNobodyHas(t *testing.T) {
	t.Parallel()
	run := onDocker0(model.Dockerd{Settings: set("default-gateway", "172.17.0.254")})
	for _, p := range []model.Place{modeltest.DindBuild, modeltest.DindRun} {
		w := watchOf(&run, p, base)
		w.Hops, w.Sightings = nil, &model.Sightings{}
		factsOf(&run, p).Routes[0].Gateway = "172.17.0.254"
		run.Inspections = append(run.Inspections, model.Inspection{Place: p, Round: base, Taken: modeltest.Start, Neighbours: []model.Neighbour{{Address: "172.17.0.254", Device: "eth0", State: "failed"}}})
	}
	d := diagnose.Diagnose(run)
	require.Equal(t, diagnose.CauseMisrouted, d.Cause, d.Summary)
	require.Contains(t, evidenceText(d), "172.17.0.254, which nobody on docker0 has")
	require.Contains(t, evidenceText(d), `"default-gateway": "172.17.0.254" of /etc/docker/daemon.json`)
	requireResolved(t, run, d)
	for _, p := range []model.Place{modeltest.DindBuild, modeltest.DindRun} {
		factsOf(&run, p).Resolvers = []string{"172.17.0.3"} // on the bridge itself: no gateway is needed
	}
	require.NotEqual(t, diagnose.CauseMisrouted, diagnose.Diagnose(run).Cause)
}

// TestSubordinateIDs are missing where the files say so and LXD's container says so too.
func TestSubordinateIDs(t *testing.T) {
	t.Parallel()
	run := fixtures()[diagnose.CauseNoSubordinates]()
	d := diagnose.Diagnose(run)
	require.Equal(t, diagnose.CauseNoSubordinates, d.Cause)
	require.Contains(t, evidenceText(d), "what was said of it: start the LXD instance: newuidmap: uid range [0-1000000000) not allowed")
	factsOf(&run, modeltest.Runner).NoSubordinates = nil
	require.NotEqual(t, diagnose.CauseNoSubordinates, diagnose.Diagnose(run).Cause, "both have a range")
	run = lostStart(modeltest.LXDContainer, "start the LXD instance: the image is gone")
	factsOf(&run, modeltest.Runner).NoSubordinates = []string{"/etc/subuid"}
	require.NotEqual(t, diagnose.CauseNoSubordinates, diagnose.Diagnose(run).Cause, "LXD from a snap has its own")
}
