package vm

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// Keys are added to the device there is, also where a scenario has replaced it, whose
// own keys stay, and the maps that are shared by instances stay as they are.
func TestDeviceKeys(t *testing.T) {
	t.Parallel()
	i := Instance{
		Network: "lxdbr0", Pool: "default", Devices: map[string]map[string]string{"eth0": {"type": "nic", "nictype": "macvlan"}, "root": {}},
		DeviceKeys: map[string]map[string]string{"eth0": {"mtu": "1400", "nictype": "bridged"}, "kvm": {"type": "unix-char"}},
	}
	for range 2 {
		require.Equal(t, map[string]map[string]string{
			"eth0": {"type": "nic", "nictype": "macvlan", "mtu": "1400"}, "kvm": {"type": "unix-char"},
		}, i.devices())
	}
	require.Equal(t, map[string]string{"type": "nic", "nictype": "macvlan"}, i.Devices["eth0"])
	i.Devices = nil
	delete(i.DeviceKeys["eth0"], "nictype")
	require.Equal(t, map[string]string{"type": "nic", "name": "eth0", "network": "lxdbr0", "mtu": "1400"}, i.devices()["eth0"])
}
