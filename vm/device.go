package vm

import (
	"fmt"
	"maps"
	"strings"
)

// ParseDevices reads devices as lxc's own --device has them: NAME,KEY=VALUE and
// further keys. Keys of one name in several of them are one device's.
func ParseDevices(given []string) (map[string]map[string]string, error) {
	all := map[string]map[string]string{}
	for _, text := range given {
		name, rest, more := strings.Cut(text, ",")
		if name == "" || !more || strings.Contains(name, "=") {
			return nil, fmt.Errorf("the device %q is not NAME,KEY=VALUE[,KEY=VALUE...], such as eth0,ipv4.address=10.0.0.2", text)
		}
		for _, pair := range strings.Split(rest, ",") {
			key, value, ok := strings.Cut(pair, "=")
			if !ok || key == "" {
				return nil, fmt.Errorf("the device %q: %q is not KEY=VALUE", name, pair)
			}
			if all[name] == nil {
				all[name] = map[string]string{}
			}
			if former, twice := all[name][key]; twice && former != value {
				return nil, fmt.Errorf("the device %q has two values of %s: %q and %q", name, key, former, value)
			}
			all[name][key] = value
		}
	}
	return all, nil
}

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
		maps.Copy(all[name], keys)
	}
	return all
}
