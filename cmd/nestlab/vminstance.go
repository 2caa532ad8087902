package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/pflag"

	"github.com/nestlab/nestlab/model"
	"github.com/nestlab/nestlab/vm"
)

// The address families of instances.
const (
	familyAll = "all"
	familyV4  = "v4"
)

// instanceFlags are those of LXD's instances.
func (v *vmRun) instanceFlags(f *pflag.FlagSet) {
	f.StringVar(&v.image, "image", "", "image of the instances: an alias, a fingerprint of 12 digits or more, or a file (./image.tar.xz), which is removed again")
	f.StringVar(&v.rootfs, "rootfs", "", "the image's second file (squashfs or qcow2), where --image is one with its metadata only")
	f.StringVar(&v.imageServer, "image-server", "", "simplestreams server that has the image (default LXD's own images)")
	f.StringVar(&v.network, "network", vm.Bridge, "LXD network of the instances' NIC")
	f.StringVar(&v.pool, "pool", "default", "storage pool of their root")
	f.StringToStringVar(&v.config, "config", nil, "further configuration keys, such as limits.memory=2GiB or security.secureboot=true")
	f.StringArrayVar(&v.devices, "device", nil, "keys of a device of every instance: NAME,KEY=VALUE,..., such as root,size=10GiB (repeatable)")
	f.StringVar(&v.family, "family", familyAll, "address families of the instances: all, or v4 to have IPv6 off in them and their apt forced to IPv4")
	f.DurationVar(&v.ready, "ready", 5*time.Minute, "how long an instance may take until it takes commands")
}

// validateTuning reads and checks what is asked of LXD's instances, and that there are any.
func (v *vmRun) validateTuning(lxd bool) (err error) {
	v.deviceKeys, err = vm.ParseDevices(v.devices)
	switch {
	case err != nil:
		return fmt.Errorf("--device: %w", err)
	case v.family != familyAll && v.family != familyV4:
		return fmt.Errorf("unknown family %q: use %s or %s", v.family, familyAll, familyV4)
	case !lxd && (len(v.deviceKeys) > 0 || v.family != familyAll):
		return errors.New("--device and --family are for LXD's instances, and none is asked for")
	case v.deviceKeys["eth0"]["network"] != "":
		return errors.New("--device eth0,network=...: name the network with --network")
	}
	return nil
}

// instance is one as it is without a scenario.
func (v *vmRun) instance(self, environment string) vm.Instance {
	return vm.Instance{
		At: model.Place{Environment: environment}, With: []string{"network", "packages"}, Connect: v.connect,
		Name: "nestlab-" + environment, Image: v.image, Rootfs: v.rootfs, Imports: v.imports, ImageServer: v.imageServer, VM: environment == model.EnvLXDVM,
		Network: v.network, Pool: v.pool, Config: v.config, DeviceKeys: v.deviceKeys, NoIPv6: v.family == familyV4, Binary: self, Ready: v.ready,
		Owner: v.owner,
	}
}
