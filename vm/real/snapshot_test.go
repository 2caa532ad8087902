//go:build e2e

package real

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/canonical/lxd/shared/api"
	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/testbed/await"
	"github.com/nestlab/nestlab/testbed/world/hostsnapshot"
	"github.com/nestlab/nestlab/vm"
)

// connect reaches the LXD.
func connect(t *testing.T) vm.Server {
	t.Helper()
	server, err := vm.Connect(await.Context(t), socket, time.Hour)
	require.NoError(t, err)
	return server
}

// snapshot is what the runner has: its network, mounts, cgroups and processes, what
// LXD has, and the files in the places where nestlab and the daemons put theirs.
func snapshot(t *testing.T) []string {
	t.Helper()
	lines, err := hostsnapshot.Take()
	require.NoError(t, err)
	server := connect(t)
	instances, err := server.GetInstances(api.InstanceTypeAny)
	require.NoError(t, err)
	for _, i := range instances {
		lines = append(lines, fmt.Sprintf("lxd instance %s %s", i.Name, i.Status))
	}
	images, err := server.GetImages()
	require.NoError(t, err)
	for _, i := range images {
		lines = append(lines, "lxd image "+i.Fingerprint)
	}
	networks, err := server.GetNetworks()
	require.NoError(t, err)
	for _, n := range networks {
		lines = append(lines, fmt.Sprintf("lxd network %s used by %d", n.Name, len(n.UsedBy)))
	}
	operations, err := server.GetOperations()
	require.NoError(t, err)
	for _, o := range operations {
		if o.StatusCode.IsFinal() { // LXD forgets it in a moment
			continue
		}
		lines = append(lines, fmt.Sprintf("lxd operation %s %s", o.Description, o.Status))
	}
	return append(lines, files(t)...)
}

// files are those in the places where nestlab, LXD and QEMU put theirs. LXD's own
// records and logs, which every order to it changes, are left out.
func files(t *testing.T) []string {
	t.Helper()
	var lines []string
	for _, root := range []string{"/tmp", "/var/tmp", "/run", "/var/lib/lxd", "/var/cache/lxd"} {
		err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
			switch {
			case errors.Is(err, fs.ErrNotExist):
				return nil
			case err != nil:
				return err
			case path == scratch, strings.HasPrefix(path, "/var/lib/lxd/database"), strings.HasPrefix(path, "/var/lib/lxd/seccomp"):
				return fs.SkipDir
			case strings.HasPrefix(path, "/var/lib/lxd/networks/"): // dnsmasq's leases
				return nil
			}
			lines = append(lines, "file "+path)
			return nil
		})
		require.NoError(t, err)
	}
	slices.Sort(lines)
	return lines
}

// steady leaves out the ids of processes: an LXD that was restarted starts its
// helpers again.
func steady(lines []string) []string {
	var out []string
	for _, l := range lines {
		if rest, found := strings.CutPrefix(l, "process "); found {
			_, command, _ := strings.Cut(rest, " ")
			l = "process " + command
		}
		out = append(out, l)
	}
	return out
}

// requireSame waits until the runner is as it was before: LXD ends its helpers a
// little after it has answered.
func requireSame(t *testing.T, before []string, why ...string) {
	t.Helper()
	var diff []string
	await.True(t, func() bool {
		diff = hostsnapshot.Diff(steady(before), steady(snapshot(t)))
		return len(diff) == 0
	}, "%s", await.Said(func() string { return strings.Join(diff, "\n") + "\n" + strings.Join(why, "\n") }))
}
