package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/model"
)

// What is asked of the instances is the instances'.
func TestVMInstance(t *testing.T) {
	t.Parallel()
	v := &vmRun{family: familyV4, devices: []string{"eth0,mtu=1400"}, network: "br7"}
	require.NoError(t, v.validateTuning(true))
	i := v.instance("/nestlab", model.EnvLXDVM)
	require.True(t, i.NoIPv6)
	require.True(t, i.VM)
	require.Equal(t, map[string]map[string]string{"eth0": {"mtu": "1400"}}, i.DeviceKeys)
	require.Equal(t, "br7", i.Network)
	v.family = familyAll
	require.False(t, v.instance("/nestlab", model.EnvLXDContainer).NoIPv6)
}
