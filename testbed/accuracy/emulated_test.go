package accuracy

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/spec"
)

// Each case of LXD's virtual machine is in it alone, beside the runner, and none of
// them has the name of another case.
func TestEmulatedCases(t *testing.T) {
	t.Parallel()
	names, kinds := map[string]bool{}, map[string]int{}
	for _, c := range append(Cases(), EmulatedCases()...) {
		require.False(t, names[c.Name], c.Name)
		names[c.Name] = true
	}
	for _, c := range EmulatedCases() {
		require.Equal(t, []string{model.EnvRunner, model.EnvLXDVM}, c.Environments, c.Name)
		kinds[c.Kind()]++
	}
	require.Equal(t, 1, kinds[Healthy])
	require.Zero(t, kinds[Pair])
	for _, name := range []string{"docker-first@lxd-vm", "lxd-first+nat-off@lxd-vm", "lxd-first+upstream-blocks-guests@lxd-vm"} {
		require.True(t, names[name], name)
	}
	require.NotContains(t, names, "lxd-first+kvm-denied@lxd-vm", "without KVM LXD has no virtual machine, which is not told from other machines without it")
	for runner, want := range map[spec.RunnerKind][]Case{spec.Namespaced: Cases(), spec.Emulated: EmulatedCases()} {
		got, err := CasesOf(runner)
		require.NoError(t, err)
		require.Equal(t, want, got[:len(want)])
	}
	_, err := CasesOf("hosted")
	require.ErrorContains(t, err, `unknown runner "hosted": use one of namespaced, emulated`)
}
