package vm_test

import (
	"testing"
	"time"

	"github.com/canonical/lxd/client"
	"github.com/canonical/lxd/shared/api"
	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/owner"
	"github.com/nestlab/nestlab/vm"
)

// owners are a run that lives, one that has ended, and one in another place.
func owners(t *testing.T) (lives, ended, unseen owner.Owner) {
	t.Helper()
	lives, err := owner.Self("first")
	require.NoError(t, err)
	ended, unseen = lives, lives
	ended.Started-- // another process has its number now
	unseen.Boot = "another-machine"
	return lives, ended, unseen
}

func of(o owner.Owner) map[string]string {
	return map[string]string{vm.Marker: "lxd-vm", vm.OwnerKey: o.Text()}
}

// TestSweepLeavesOtherRuns: instances, images and networks of a run that is at work stay
// and are named; those of one that was killed go.
func TestSweepLeavesOtherRuns(t *testing.T) {
	t.Parallel()
	lives, ended, unseen := owners(t)
	old := unseen
	old.Since = time.Now().Add(-2 * owner.Longest)
	full := func() *fullLXD {
		return &fullLXD{
			fakeLXD: fakeLXD{instances: []api.Instance{
				{Name: "nestlab-lives", StatusCode: api.Stopped, Config: of(lives)}, {Name: "nestlab-ended", StatusCode: api.Stopped, Config: of(ended)},
				{Name: "nestlab-unseen", StatusCode: api.Stopped, Config: of(unseen)}, {Name: "nestlab-old", StatusCode: api.Stopped, Config: of(old)},
			}},
			images: []api.Image{
				{Fingerprint: "1111", Filename: "user.nestlab." + lives.Text() + ".lxd-vm.image.tar.xz"},
				{Fingerprint: "2222", Filename: "user.nestlab." + ended.Text() + ".lxd-vm.image.tar.xz"},
			},
			networks: []api.Network{{Name: "nl-lives", Config: of(lives)}, {Name: "nl-ended", Config: of(ended)}},
		}
	}
	f := full()
	left, err := vm.Leftovers(t.Context(), f, false)
	require.Error(t, err)
	require.Len(t, left, 4)
	_, err = vm.Sweep(t.Context(), f, false)
	require.ErrorContains(t, err, "instance nestlab-lives stays: it is of run first (pid ")
	require.ErrorContains(t, err, "image 1111 stays")
	require.ErrorContains(t, err, "network nl-lives stays")
	require.ErrorContains(t, err, "instance nestlab-unseen stays: it is of run first")
	require.ErrorContains(t, err, "`nestlab vm gc --all` removes it")
	require.Equal(t, []string{"nestlab-ended", "nestlab-old", "2222", "nl-ended"}, f.removed)

	f = full()
	removed, err := vm.Sweep(t.Context(), f, true)
	require.NoError(t, err)
	require.Len(t, removed, 8)
}

// socketLXD is reached by its socket.
type socketLXD struct{ fakeLXD }

func (*socketLXD) GetConnectionInfo() (*lxd.ConnectionInfo, error) {
	return &lxd.ConnectionInfo{SocketPath: "/var/lib/lxd/unix.socket"}, nil
}

// TestSweepAfterAReboot: on this machine nothing lives that was there before.
func TestSweepAfterAReboot(t *testing.T) {
	t.Parallel()
	_, _, rebooted := owners(t)
	require.NoError(t, vm.Used(&socketLXD{}, "it", rebooted.Text(), nil))
	require.Error(t, vm.Used(&fakeLXD{}, "it", rebooted.Text(), nil))
}

// TestAnInstanceOfAnotherRunIsNotReplaced, nor removed at the end; a killed run's is.
func TestAnInstanceOfAnotherRunIsNotReplaced(t *testing.T) {
	t.Parallel()
	lives, ended, _ := owners(t)
	mine := ended
	mine.PID++
	there := api.Instance{Name: "nestlab-lxd-vm", StatusCode: api.Stopped, Config: of(lives)}
	f := &fakeLXD{instances: []api.Instance{there}}
	i := instance(f)
	i.Owner = &mine
	require.ErrorContains(t, i.Start(t.Context(), took(new([]timing))), "the LXD instance nestlab-lxd-vm stays: it is of run first")
	require.Empty(t, f.asked.Name)
	require.NoError(t, i.Stop(t.Context()))
	require.Error(t, i.Sweep(t.Context()))
	require.Empty(t, f.removed)

	there.Config = of(ended)
	f = &fakeLXD{instances: []api.Instance{there}}
	i = instance(f)
	i.Owner = &lives
	require.ErrorIs(t, i.Start(t.Context(), took(new([]timing))), errFull)
	require.Equal(t, []string{"nestlab-lxd-vm"}, f.removed)
	require.Equal(t, lives.Text(), f.asked.Config[vm.OwnerKey])

	// Its own, at the end.
	there.Config = of(lives)
	f.instances = []api.Instance{there}
	require.NoError(t, i.Stop(t.Context()))
	require.Len(t, f.removed, 2)
}
