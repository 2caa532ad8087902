package main

import (
	"errors"
	"fmt"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/vm"
)

// The address families of instances.
const (
	familyAll = "all"
	familyV4  = "v4"
)

// validateTuning checks what is asked of LXD's instances, and that there are any.
func (v *vmRun) validateTuning(lxd bool) error {
	keys, err := vm.ParseDevices(v.devices)
	switch {
	case err != nil:
		return fmt.Errorf("--device: %w", err)
	case v.family != familyAll && v.family != familyV4:
		return fmt.Errorf("unknown family %q: use %s or %s", v.family, familyAll, familyV4)
	case !lxd && (len(keys) > 0 || v.family != familyAll):
		return errors.New("--device and --family are for LXD's instances, and none is asked for")
	case keys["eth0"]["network"] != "":
		return errors.New("--device eth0,network=...: name the network with --network")
	}
	return nil
}

// instance is one as it is without a scenario.
func (v *vmRun) instance(self, environment string) vm.Instance {
	keys, _ := vm.ParseDevices(v.devices) // validate has read them
	return vm.Instance{
		At: model.Place{Environment: environment}, With: []string{"network", "packages"}, Connect: v.connect,
		Name: "nestlab-" + environment, Image: v.image, Rootfs: v.rootfs, Imports: v.imports, ImageServer: v.imageServer, VM: environment == model.EnvLXDVM,
		Network: v.network, Pool: v.pool, Config: v.config, DeviceKeys: keys, NoIPv6: v.family == familyV4, Binary: self, Ready: v.ready,
	}
}
