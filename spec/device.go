package spec

import (
	"fmt"
	"regexp"
	"strings"
)

// deviceName tells a device's name from the rest of a value that a comma was in.
var deviceName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_.-]*$`)

// ParseDevices reads keys of devices: NAME,KEY=VALUE and further keys, then perhaps
// another name. Whoever splits lists at their commas may have done so already; a value
// has none. Keys of one name are one device's.
func ParseDevices(given []string) (map[string]map[string]string, error) {
	all, name := map[string]map[string]string{}, ""
	if len(given) == 0 {
		return all, nil
	}
	for _, word := range strings.Split(strings.Join(given, ","), ",") {
		key, value, pair := strings.Cut(word, "=")
		switch {
		case !pair && name != "" && word != "" && !deviceName.MatchString(word):
			return nil, fmt.Errorf("%q in the devices is neither a name nor KEY=VALUE; a value cannot have a comma here", word)
		case key == "" || pair && name == "" || !pair && !deviceName.MatchString(word):
			return nil, fmt.Errorf("the devices %q are not NAME,KEY=VALUE,..., such as root,size=10GiB", strings.Join(given, ","))
		case !pair:
			if name = word; all[name] == nil {
				all[name] = map[string]string{}
			}
			continue
		}
		if former, twice := all[name][key]; twice && former != value {
			return nil, fmt.Errorf("the device %q has two values of %s: %q and %q", name, key, former, value)
		}
		all[name][key] = value
	}
	for name, keys := range all {
		if len(keys) == 0 {
			return nil, fmt.Errorf("the device %q has no KEY=VALUE", name)
		}
	}
	return all, nil
}

// ParseConfig reads configuration keys as KEY=VALUE.
func ParseConfig(given []string) (map[string]string, error) {
	if len(given) == 0 {
		return nil, nil
	}
	all := map[string]string{}
	for _, text := range given {
		key, value, pair := strings.Cut(text, "=")
		if !pair || key == "" {
			return nil, fmt.Errorf("the configuration %q is not KEY=VALUE, such as limits.memory=2GiB", text)
		}
		all[key] = value
	}
	return all, nil
}
