package vm

import "maps"

// devices are the root disk and one NIC, and what the instance has of its own.
func (i *Instance) devices() map[string]map[string]string {
	all := map[string]map[string]string{
		"root": {"type": "disk", "path": "/", "pool": i.Pool},
		"eth0": {"type": "nic", "name": "eth0", "network": i.Network},
	}
	for name, properties := range i.Devices {
		if all[name] = maps.Clone(properties); len(properties) == 0 {
			delete(all, name)
		}
	}
	for name, keys := range i.DeviceKeys {
		if all[name] == nil {
			all[name] = map[string]string{}
		}
		for key, value := range keys {
			if _, own := i.Devices[name][key]; !own {
				all[name][key] = value
			}
		}
	}
	return all
}
