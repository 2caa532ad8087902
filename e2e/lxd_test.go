//go:build e2e

package e2e

import "testing"

// Virtual machines on a real LXD and a real QEMU, interrupted, killed and broken in
// every way: vm/real says what is tested.
func TestRealLXDAndQEMU(t *testing.T) {
	t.Parallel()
	testInRunner(t, "./vm/real")
}
