package vm_test

import (
	"testing"

	"github.com/canonical/lxd/client"
	"github.com/canonical/lxd/shared/api"
	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/vm"
)

// fullLXD has images and networks too.
type fullLXD struct {
	fakeLXD
	images   []api.Image
	networks []api.Network
}

func (f *fullLXD) GetImages() ([]api.Image, error)     { return f.images, nil }
func (f *fullLXD) GetNetworks() ([]api.Network, error) { return f.networks, nil }

func (f *fullLXD) DeleteImage(fingerprint string) (lxd.Operation, error) {
	f.removed = append(f.removed, fingerprint)
	return done{}, nil
}

func (f *fullLXD) DeleteNetwork(name string) error {
	f.removed = append(f.removed, name)
	return nil
}

// All that nestlab made goes: what stands on a bridge before it, and nothing of
// anybody else's.
func TestSweep(t *testing.T) {
	t.Parallel()
	ours := map[string]string{vm.Marker: "lxd-vm@bridge-tuned/mtu"}
	f := &fullLXD{
		fakeLXD: fakeLXD{instances: []api.Instance{
			{Name: "nestlab-x", StatusCode: api.Stopped, Config: ours}, {Name: "nestlab-theirs", StatusCode: api.Stopped},
		}},
		images: []api.Image{
			{Fingerprint: "0123456789ab", Filename: "user.nestlab.lxd-vm.image.tar.xz"}, {Fingerprint: "cafe", Filename: "image.tar.xz"},
		},
		networks: []api.Network{{Name: "lxdbr0"}, {Name: "nl-0123abcd", Config: ours}},
	}
	left, err := vm.Leftovers(t.Context(), f, false)
	require.NoError(t, err)
	require.Len(t, left, 3)
	require.Empty(t, f.removed, "it only lists them")
	removed, err := vm.Sweep(t.Context(), f, false)
	require.NoError(t, err)
	require.Len(t, removed, 3)
	require.Equal(t, []string{"nestlab-x", "0123456789ab", "nl-0123abcd"}, f.removed)
}
