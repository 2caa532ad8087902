package vm_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/vm"
)

// Without the device nothing is tried.
func TestAcceleratorWithoutDevice(t *testing.T) {
	t.Parallel()
	q := guest(t, fakeKVM)
	q.Accelerator.Device = filepath.Join(t.TempDir(), "kvm")
	found := q.Accelerator.Find(t.Context())
	require.Equal(t, vm.TCG, found.Name)
	require.Contains(t, found.Why, "no such file")
}

// A KVM whose kernel gets to its first process is used; each other one is not,
// and why is told.
func TestAccelerator(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ mode, name, why string }{
		{fakeKVM, vm.KVM, ""},
		{fakeBoots, vm.TCG, "this fake has no KVM"},
		{fakePanics, vm.TCG, "the kernel ended early under KVM: Booting | Kernel panic"},
		{fakeStops, vm.TCG, "internal error"},
		{fakeHangs, vm.TCG, "no kernel ran under KVM within"},
	} {
		t.Run(c.mode, func(t *testing.T) {
			t.Parallel()
			q := guest(t, c.mode)
			q.Accelerator.Device = os.DevNull
			found := q.Accelerator.Find(t.Context())
			require.Equal(t, c.name, found.Name)
			require.Contains(t, found.Why, c.why)
			require.Equal(t, found, q.Accelerator.Find(t.Context()))
			requireGone(t, &vm.QEMU{Dir: q.Accelerator.Dir})
		})
	}
}
