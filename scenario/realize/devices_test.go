package realize

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/scenario"
	"github.com/nestlab/nestlab/vm"
)

// An instance keeps the devices that it has without the scenario, and the map that all
// instances share stays as it is.
func TestScenariosKeepDevices(t *testing.T) {
	t.Parallel()
	f := &fakeLXD{}
	m := maker(f)
	base, own := m.Instance, map[string]map[string]string{"first": {"type": "disk", "path": "/mnt/first"}}
	m.Instance = func(environment string) vm.Instance {
		i := base(environment)
		i.Devices, i.DeviceKeys = own, map[string]map[string]string{"eth0": {"mtu": "1400"}}
		return i
	}
	env := one(t, m, scenario.TunedMTU, model.EnvLXDVM)
	require.ErrorIs(t, env.Start(t.Context(), func(string, time.Time, time.Duration, string) {}), errFull)
	require.Equal(t, "/mnt/first", f.asked.Devices["first"]["path"])
	require.Equal(t, "1400", f.asked.Devices["eth0"]["mtu"])
	require.Equal(t, f.made[0].Name, f.asked.Devices["eth0"]["network"], "the scenario's own bridge")
	require.Len(t, own, 1)
}
