//go:build e2e

package e2e

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/canonical/lxd/client"
	"github.com/canonical/lxd/shared/api"
	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/testbed/await"
	"github.com/nestlab/nestlab/vm"
)

// The call on a real LXD, by its socket and by https: the image comes as a file, and
// nothing stays of it.
func TestVM(t *testing.T) {
	t.Parallel()
	socket, address := lendLXD(t)
	image := filepath.Join(t.TempDir(), "lxd.tar")
	call(t, "runner", "file", "--path", "/opt/nestlab/lxd.tar", "export", "--path", image)
	server, err := vm.Connect(await.Context(t), socket, time.Hour)
	require.NoError(t, err)
	await.True(t, func() bool { // until it is prepared
		_, _, err := server.GetImageAlias("nestlab")
		return err == nil
	})
	requireEndsAlone(t, socket)
	images, err := server.GetImages()
	require.NoError(t, err)
	for _, i := range images { // so that it has to be imported
		op, err := server.DeleteImage(i.Fingerprint)
		require.NoError(t, err)
		requireEnded(t, server, op)
	}
	for _, way := range []struct {
		name, project string
		flags         func(*testing.T) []string
	}{
		{"socket", api.ProjectDefaultName, func(*testing.T) []string {
			return []string{"--lxd", socket, "--device", "eth0,hwaddr=" + ownMAC, "--family", "v4"}
		}},
		{"https", api.ProjectDefaultName, func(t *testing.T) []string { return byHTTPS(t, socket, address) }},
		{"cluster", "lab", func(t *testing.T) []string { return inCluster(t, socket, "lab") }},
	} {
		t.Run(way.name, func(t *testing.T) {
			run, _ := export(t, append([]string{
				"vm", "--environments", model.EnvLXDContainer, "--image-file", image, "--targets", fewTargets(t),
			}, way.flags(t)...)...)
			require.Empty(t, run.Notes)
			require.Empty(t, run.GuestNotes)
			requireObserved(t, results(run, model.EnvLXDContainer, "", model.RoundBaseline))
			requireCard(t, run, way.name == "socket")
			requireNothingLeft(t, socket, way.project)
		})
	}
	requireThere(t, socket, image)
}

// requireThere checks that a member and a project have to be there.
func requireThere(t *testing.T, socket, image string) {
	t.Helper()
	for name, flags := range map[string][]string{"member": {"--member", "elsewhere"}, "project": {"--project", "elsewhere"}} {
		t.Run("another "+name, func(t *testing.T) {
			run, _ := export(t, append([]string{
				"vm", "--environments", model.EnvLXDContainer, "--image-file", image, "--lxd", socket,
			}, flags...)...)
			found := results(run, model.EnvLXDContainer, "", model.RoundBaseline)
			require.Len(t, found, 1)
			require.Equal(t, model.NotStarted, found[0].Reason)
			require.Contains(t, strings.ToLower(found[0].Detail.Message), name)
			t.Log(found[0].Detail.Message)
			requireNothingLeft(t, socket, api.ProjectDefaultName)
		})
	}
}

// requireNothingLeft checks that a project of an LXD has no instance and no image.
func requireNothingLeft(t *testing.T, socket, project string) {
	t.Helper()
	server, err := lxd.ConnectLXDUnix(socket, nil)
	require.NoError(t, err)
	server = server.UseProject(project)
	instances, err := server.GetInstances(api.InstanceTypeAny)
	require.NoError(t, err)
	require.Empty(t, instances)
	images, err := server.GetImages()
	require.NoError(t, err)
	require.Empty(t, images)
}

// ownMAC is in the block of addresses that LXD takes its own from.
const ownMAC = "00:16:3e:5a:00:01"

// requireCard checks the instance's card, as it is and with what was asked for.
func requireCard(t *testing.T, run model.Run, tuned bool) {
	t.Helper()
	for _, f := range run.Facts {
		for _, i := range f.Interfaces {
			if i.Name == "eth0" {
				require.Equal(t, tuned, i.MAC == ownMAC, i.MAC)
				require.Equal(t, !tuned, slices.ContainsFunc(i.Addresses, func(a string) bool { return strings.Contains(a, ":") }), "%v", i.Addresses)
				return
			}
		}
	}
	require.Fail(t, "there is no eth0")
}

// requireObserved checks that the few targets were all tried and answered, but the echo.
func requireObserved(t *testing.T, found []model.Result) {
	t.Helper()
	var seen []string
	for _, r := range found {
		switch {
		case r.Outcome == model.Skip:
			continue
		case r.Probe == model.ProbeICMP:
			require.Equal(t, model.NoReply, r.Reason, r.Detail.Message)
		default:
			require.Equal(t, model.Pass, r.Outcome, "%s: %s", r.Ref(), r.Detail.Message)
		}
		seen = append(seen, r.Probe)
	}
	require.ElementsMatch(t, []string{
		model.ProbeDNSA, model.ProbeDNSAAAA, model.ProbeTCP, model.ProbeTCP, model.ProbeFirst, model.ProbeHTTP, model.ProbeICMP,
	}, seen, strings.Join(seen, " "))
}

// fewTargets are a few of the simulated internet's, for an LXD that is in it.
func fewTargets(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "targets.yaml")
	require.NoError(t, os.WriteFile(file, []byte(`version: 1
name: few
dns: [archive.lab.test]
tcp: ["archive.lab.test:80", "registry.lab.test:443"]
http: ["http://archive.lab.test/"]
icmp: [archive.lab.test]
`), 0o644))
	return file
}

// A wrong use is an error. Of an LXD that is not there TestFunctions says what is told.
func TestVMWrongUse(t *testing.T) {
	t.Parallel()
	cert := noCertificate(t)
	for says, args := range map[string][]string{
		"wants --client-cert": {"vm", "--address", "https://lxd:8443", "table"},
		"give the first with": {"vm", "--address", "https://lxd:8443", "--client-cert", cert, "--client-key", "file:" + cert, "--rootfs-file", cert, "table"},
	} {
		_, stderr, err := try(t, args...)
		require.Error(t, err)
		require.Contains(t, stderr, says)
	}
}

// Virtual machines on a real LXD and a real QEMU, interrupted, killed and broken in
// every way: vm/real says what is tested. These are the last in the package, for they take
// longest, and Go goes on with the last of those that run side by side.
func TestHostileGuest(t *testing.T) {
	t.Parallel()
	testInRunner(t, "./vm/real", "-test.run=^TestHostileGuest$")
}

func TestRealLXDAndQEMU(t *testing.T) {
	t.Parallel()
	testInRunner(t, "./vm/real", "-test.skip=^TestHostileGuest$")
}
