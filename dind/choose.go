package dind

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/nestlab/nestlab/spec"
)

// Machine is what the settings of a daemon depend on where it runs.
type Machine struct {
	// Docker is the major version of the dockerd that is installed, where the MTU is not 1500.
	Docker int
	// Uplink is the interface of the default route, MTU its own; empty and 0 without one.
	Uplink string
	MTU    int
	// Networks are in use: those of interfaces and routes, and resolvers.
	Networks []netip.Prefix
	// Driver works on the data root's file system, or has its images already; DriverWhy
	// says which.
	Driver    spec.StorageDriver
	DriverWhy string
}

// Since this version dockerd has options for all networks of a driver.
const hasNetworkOptions = 24

// Configure gives the contents of dockerd's configuration file, and says in a line each what
// was chosen and why. A network that cannot be found is an error.
func Configure(d spec.Docker, m Machine) (settings map[string]any, choices []string, err error) {
	settings = map[string]any{"storage-driver": string(m.Driver)}
	choices = []string{fmt.Sprintf("storage driver %s: %s", m.Driver, m.DriverWhy)}
	if mtu, why := chooseMTU(d.MTU, m); mtu != ethernetMTU {
		settings["mtu"] = mtu
		if m.Docker >= hasNetworkOptions {
			settings["default-network-opts"] = map[string]any{
				"bridge": map[string]string{"com.docker.network.driver.mtu": fmt.Sprint(mtu)},
			}
			choices = append(choices, fmt.Sprintf("MTU %d, of user-defined networks too: %s", mtu, why))
		} else {
			choices = append(choices, fmt.Sprintf("MTU %d, of the default network alone: %s; Docker %d has no option for user-defined networks: "+
				"make those with --opt com.docker.network.driver.mtu=%d", mtu, why, m.Docker, mtu))
		}
	} else {
		choices = append(choices, fmt.Sprintf("MTU %d: %s", mtu, why))
	}
	pools, why, err := choosePools(d.AddressPools, m.Networks)
	if err != nil {
		return nil, nil, err
	}
	settings["default-address-pools"] = pools
	choices = append(choices, "address pools "+why)
	if len(d.Mirrors) > 0 {
		settings["registry-mirrors"] = d.Mirrors
		choices = append(choices, "Docker Hub is asked by way of "+strings.Join(d.Mirrors, ", ")+": as given")
	}
	if len(d.Insecure) > 0 {
		settings["insecure-registries"] = d.Insecure
		choices = append(choices, "asked without TLS too: "+strings.Join(d.Insecure, ", ")+": as given")
	}
	return settings, choices, nil
}

// chooseMTU gives a network no larger packets than the uplink takes: larger ones vanish on
// the way, where nothing answers that they were too large.
func chooseMTU(given int, m Machine) (mtu int, why string) {
	switch {
	case given != 0 && m.MTU != 0 && given > m.MTU:
		return given, fmt.Sprintf("as given, though %s takes %d: larger packets may vanish", m.Uplink, m.MTU)
	case given != 0:
		return given, "as given"
	case m.MTU == 0:
		return ethernetMTU, "there is no default route to take it from"
	case m.MTU > ethernetMTU:
		return ethernetMTU, fmt.Sprintf("%s takes %d, but what is behind it may not", m.Uplink, m.MTU)
	}
	return m.MTU, "that of " + m.Uplink
}

// pool is an entry of default-address-pools.
type pool struct {
	Base string `json:"base"`
	Size int    `json:"size"`
}

// choosePools takes the given pools, or one that nothing here uses. Docker's own default
// (172.17.0.0/16 and on) is that of the daemon around this one, which may be on the way out.
func choosePools(given []string, used []netip.Prefix) (pools []pool, why string, err error) {
	if len(given) > 0 {
		for _, base := range given {
			pools = append(pools, pool{base, 24})
		}
		return pools, strings.Join(given, ", ") + " in networks of /24: as given", nil
	}
	for second := byte(213); second < 255; second++ {
		candidate := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, second}), 16)
		if slices.ContainsFunc(used, candidate.Overlaps) {
			continue
		}
		return []pool{{candidate.String(), 24}}, fmt.Sprintf("%s in networks of /24: used here by none of %s", candidate, join(used)), nil
	}
	return nil, "", fmt.Errorf("choose the networks of containers: all of 10.213.0.0/16 to 10.254.0.0/16 are in use here (%s): name one with --address-pool", join(used))
}

func join(networks []netip.Prefix) string {
	var all []string
	for _, n := range networks {
		all = append(all, n.String())
	}
	if len(all) == 0 {
		return "no network"
	}
	return strings.Join(all, ", ")
}
